"""What is said of levels: which one was reached, and of one at which nothing was observed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.plan.level import ARRAYS

_EQUAL = {
    "bitwise": "every value is equal",
    "process": "every recorded number and prediction is equal, other values differ",
    "outcome": "the last recorded numbers and predictions are equal, earlier ones differ",
    "none": "the last recorded numbers and predictions differ",
}


def reached(verdict: Verdict) -> Iterator[str]:
    """A line of the failure text, where a level was asked for."""
    if verdict.level is not None:
        asked, found = verdict.level
        yield f"  level      asked {asked}, reached {found}: {_EQUAL[found]}"


_MOST = 5
"""Values that are told of those that do not count."""


def note(verdict: Verdict) -> str:
    """What a test recorded itself, and did not have compared: ``probs float64[5, 3]``; ``""`` of none."""
    found = [each.removesuffix(f": {ARRAYS}") for each in verdict.passed_over if each.endswith(ARRAYS)]
    if not found or verdict.word == "unobserved":  # whose failure says so
        return ""
    more = f", and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return f"not compared at {verdict.plan.level}: {', '.join(found[:_MOST])}{more} ({ARRAYS})"


def levels(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each test of which not all that it recorded counts at its level."""
    for row in rows:
        if told := row.get("level_note"):
            yield f"level     {row['nodeid']}  {told}"


def unobserved(nodeid: str, verdict: Verdict) -> Iterator[str]:
    """The failure text of a test that observed something, and nothing that counts at its level."""
    yield f"{nodeid} observed nothing at level {verdict.plan.level}: it could never have failed"
    yield ""
    yield "  record what counts there   numbers, text, predictions: repro.record(loss=loss, labels=labels)"
    for number, each in enumerate(verdict.passed_over[:_MOST]):
        yield f"  {'' if number else 'not counted':27}{each}"
    if len(verdict.passed_over) > _MOST:
        yield f"  {'':27}and {len(verdict.passed_over) - _MOST} more"
