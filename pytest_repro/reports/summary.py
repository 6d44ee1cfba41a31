"""The section of the session: counts by verdict, and a line for each test that failed it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

BAD = ("diverged", "unobserved", "no-baseline", "foreign-baseline")
"""Verdicts that are told by name."""


def counted(rows: Sequence[Mapping[str, Any]]) -> str:
    """``12 reproduced, 1 diverged``, and how many ran once and compared nothing."""
    counts = Counter(row.get("verdict", "ran once, nothing compared") for row in rows)
    # Reports of workers come in any order: ties are told by name.
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return ", ".join(f"{number} {word}" for word, number in ordered)


def absent(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each value of an axis that was not to be had, and how many tests asked for it."""
    runs = (run for row in rows for run in row["runs"] if "reason" in run and run["outcome"] == "skipped")
    counts = Counter(f"{run['axis']} {run['value']}: {run['reason']}" for run in runs)
    for what, number in sorted(counts.items()):
        yield f"not run   {what} ({number} test{'s' * (number != 1)})"


def beyond(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each test that was fed from a log, and asked for what is not in it."""
    for row in rows:
        told = dict.fromkeys(each for run in row["runs"] for each in run.get("beyond", ()))
        if told:
            more = f", and {len(told) - 1} more" if len(told) > 1 else ""
            yield f"beyond    {row['nodeid']}  {next(iter(told))}{more}"


def failing(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each test that is not reproducible or observed nothing.

    Args:
        rows: Rows of the JSON report with their ``headline``; ``expected`` where the test is
            marked ``xfail``.
    """
    for row in rows:
        if row.get("verdict") in BAD and not row.get("expected"):
            yield f"{row['verdict']}  {row['nodeid']}  {row.get('headline', '')}".rstrip()
