"""How often runs differ: races do not show on every try."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from pytest_repro.core.diagnose.experiment import Tried
from pytest_repro.engine.diagnose.budgeted_experiments import runs_needed

_GROWTH = (4, 4, 16, 64)
"""Runs that are made to see a difference again."""


class Often(NamedTuple):
    """How often runs differed.

    Attributes:
        differing: How many from the first.
        runs: Of how many, the first not counted.
        needed: Runs after which, if none differs, that is hardly chance.
        ended: How the runs ended, each way once.
    """

    differing: int
    runs: int
    needed: int
    ended: frozenset[str]


def how_often(first: Tried, more: Callable[[int], Tried]) -> Often:
    """How many of how many more runs differ from the first; tries harder until one does.

    Args:
        first: Runs that were made already.
        more: Makes as many runs, or fewer if there is no time for them.
    """
    tried = [first]
    for turn, number in enumerate(_GROWTH):
        differing, runs = (sum(each) for each in zip(*map(_counts, tried)))
        # All differ also from a first run that is the rare one itself: three first runs are asked.
        # Of what differs now and then it must be known how often.
        if turn >= 2 if differing == runs else differing and runs >= 16:
            break
        tried.append(more(number + 1))
    differing, runs = (sum(each) for each in zip(*map(_counts, tried)))
    needed = runs_needed(*_odd(tried)) if differing else 2
    return Often(differing, runs, needed, frozenset(end for each in tried for end in each.ended))


def _counts(tried: Tried) -> tuple[int, int]:
    """How many runs differ from the first, and of how many."""
    return len(tried.differing), tried.runs - 1


def _odd(tried: Sequence[Tried]) -> tuple[int, int]:
    """How many runs stand out, and of how many, the first ones counted.

    Where some but not all differ from the first, the first may be the one that stands out.
    """
    counts = [_counts(each) for each in tried]
    if all(differing == runs for differing, runs in counts):
        return sum(runs for _, runs in counts), sum(runs for _, runs in counts)
    return sum(min(d, runs + 1 - d) for d, runs in counts), sum(runs + 1 for _, runs in counts)
