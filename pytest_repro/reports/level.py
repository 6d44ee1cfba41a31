"""What is said of levels: which one was reached, and of one at which nothing was observed."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_repro.core.verdict import Verdict

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


def unobserved(nodeid: str, verdict: Verdict) -> Iterator[str]:
    """The failure text of a test that observed something, and nothing that counts at its level."""
    yield f"{nodeid} observed nothing at level {verdict.plan.level}: it could never have failed"
    yield ""
    yield "  record what counts there   numbers, text, predictions: repro.record(loss=loss, labels=labels)"
    for number, each in enumerate(verdict.passed_over[:_MOST]):
        yield f"  {'' if number else 'not counted':27}{each}"
    if len(verdict.passed_over) > _MOST:
        yield f"  {'':27}and {len(verdict.passed_over) - _MOST} more"
