"""What is said of levels: which one was reached, and of one at which nothing was observed."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_repro.core.plan import Plan
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


def unobserved(nodeid: str, plan: Plan) -> Iterator[str]:
    """The failure text of a test that observed something, and nothing that counts at its level."""
    yield f"{nodeid} observed nothing at level {plan.level}: it could never have failed"
    yield ""
    yield "  record what counts there   numbers, text, predictions: repro.record(loss=loss, labels=labels)"
