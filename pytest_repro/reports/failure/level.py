"""Texts about levels: which one was reached, and what does not count at it."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.runs.level import ARRAY_EXCLUSION
from pytest_repro.metrics._arguments import format_list
from pytest_repro.reports.failure.layout import format_labelled

_MAX_VALUES = 5

_LEVEL_TEXTS = {
    "bitwise": "every value is equal",
    "process": "every recorded number and prediction is equal, other values differ",
    "outcome": "the last recorded numbers and predictions are equal, earlier ones differ",
    "none": "the last recorded numbers and predictions differ",
}


def format_level_result(verdict: Verdict) -> Iterator[str]:
    """The line of the failure text about the level, if the plan asks for one."""
    if verdict.level is not None:
        asked, reached = verdict.level
        yield from format_labelled("level", [f"asked {asked}, reached {reached}: {_LEVEL_TEXTS[reached]}"])


def describe_uncompared_values(verdict: Verdict) -> str:
    """The recorded values that do not count at the level: ``probs float64[5, 3]``; ``""`` without any."""
    excluded = [
        value.removesuffix(f": {ARRAY_EXCLUSION}")
        for value in verdict.unobserved_locals
        if value.endswith(ARRAY_EXCLUSION)
    ]
    if not excluded or verdict.outcome == "unobserved":  # then the failure text lists them
        return ""
    names = format_list(excluded, _MAX_VALUES)
    return f"not compared at {verdict.plan.level}: {names} ({ARRAY_EXCLUSION})"


def format_no_observation_at_level(nodeid: str, verdict: Verdict) -> Iterator[str]:
    """The failure text of a test whose observations all do not count at its level."""
    yield f"{nodeid} observed nothing at level {verdict.plan.level}: it could never have failed"
    yield ""
    yield "  record what counts there   numbers, text, predictions: repro.record(loss=loss, labels=labels)"
    for number, value in enumerate(verdict.unobserved_locals[:_MAX_VALUES]):
        yield f"  {'' if number else 'not counted':27}{value}"
    if len(verdict.unobserved_locals) > _MAX_VALUES:
        yield f"  {'':27}and {len(verdict.unobserved_locals) - _MAX_VALUES} more"
