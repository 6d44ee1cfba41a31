"""What is said of levels: which one was reached, and of one at which nothing was observed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.plan.level import ARRAY_EXCLUSION

_LEVEL_TEXTS = {
    "bitwise": "every value is equal",
    "process": "every recorded number and prediction is equal, other values differ",
    "outcome": "the last recorded numbers and predictions are equal, earlier ones differ",
    "none": "the last recorded numbers and predictions differ",
}


def format_level_result(verdict: Verdict) -> Iterator[str]:
    """A line of the failure text, where a level was asked for."""
    if verdict.level is not None:
        asked, found = verdict.level
        yield f"  level      asked {asked}, reached {found}: {_LEVEL_TEXTS[found]}"


_MAX_VALUES = 5
"""Values that are told of those that do not count."""


def describe_uncompared_values(verdict: Verdict) -> str:
    """What a test recorded itself, and did not have compared: ``probs float64[5, 3]``; ``""`` of none."""
    found = [
        each.removesuffix(f": {ARRAY_EXCLUSION}")
        for each in verdict.unobserved_locals
        if each.endswith(ARRAY_EXCLUSION)
    ]
    if not found or verdict.outcome == "unobserved":  # whose failure says so
        return ""
    more = f", and {len(found) - _MAX_VALUES} more" if len(found) > _MAX_VALUES else ""
    return f"not compared at {verdict.plan.level}: {', '.join(found[:_MAX_VALUES])}{more} ({ARRAY_EXCLUSION})"


def format_level_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each test of which not all that it recorded counts at its level."""
    for row in rows:
        if told := row.get("level_note"):
            yield f"level     {row['nodeid']}  {told}"


def format_no_observation_at_level(nodeid: str, verdict: Verdict) -> Iterator[str]:
    """The failure text of a test that observed something, and nothing that counts at its level."""
    yield f"{nodeid} observed nothing at level {verdict.plan.level}: it could never have failed"
    yield ""
    yield "  record what counts there   numbers, text, predictions: repro.record(loss=loss, labels=labels)"
    for number, each in enumerate(verdict.unobserved_locals[:_MAX_VALUES]):
        yield f"  {'' if number else 'not counted':27}{each}"
    if len(verdict.unobserved_locals) > _MAX_VALUES:
        yield f"  {'':27}and {len(verdict.unobserved_locals) - _MAX_VALUES} more"
