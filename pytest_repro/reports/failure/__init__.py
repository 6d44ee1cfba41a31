"""Failure texts: what differs, why, and how to see it again; here the labelled lines they consist of."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from pytest_repro.core.plan.plan import Tolerance

_WIDTH = 92


def format_labelled(label: str, lines: Iterable[str]) -> Iterator[str]:
    """*lines*, the first behind *label* and the others below it: ``  fix        seed it``."""
    return iter([f"  {'' if number else label:<10} {line}".rstrip() for number, line in enumerate(lines)])


def wrap_labelled(label: str, text: str) -> Iterator[str]:
    """*text* wrapped behind *label*."""
    wrapped = textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)
    return format_labelled(label, wrapped)


def format_tolerance(tolerance: Tolerance | None) -> str:
    """``bit for bit``, ``within rtol 1e-05 and atol 0``."""
    if tolerance is None or tolerance.exact:
        return "bit for bit"
    return f"within rtol {tolerance.rtol:g} and atol {tolerance.atol:g}"


def format_numbers(numbers: Sequence[int]) -> str:
    """``3, 4, 7 to 9``; *numbers* in order."""
    spans = []
    for _, group in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        span = [number for _, number in group]
        spans.append(f"{span[0]} to {span[-1]}" if len(span) > 2 else ", ".join(map(str, span)))
    return ", ".join(spans)


def plural(number: int, noun: str) -> str:
    """``1 test``, ``1,200 tests``."""
    return f"{number:,} {noun}{'s' * (number != 1)}"
