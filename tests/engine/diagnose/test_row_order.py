"""When rows in another order are named as the cause."""

from __future__ import annotations

import pytest

from pytest_repro.core.diagnose import Evidence, ExperimentResult, ExternalCall, Finding
from pytest_repro.engine.diagnose.findings import find_row_order

GROUPED = ExternalCall("polars.DataFrame.group_by()", "row-order", "/a.py:4")
DEVICE = ExternalCall("open()", "os-entropy", "/a.py:3")
STARTED = ExternalCall("Process.start()", "completion-order", "/a.py:3")
SHUFFLED = ExperimentResult(3, (1, 2), row_digests=("a", "a", "a"))


def test_call_that_returns_rows_in_any_order() -> None:
    assert find_row_order(Evidence((GROUPED,)), [SHUFFLED]) == Finding(
        "row-order",
        "/a.py:4",
        "polars.DataFrame.group_by() returns its rows in any order: the rows of all runs are equal, and in "
        "another order",
        "pass maintain_order=True, or sort the rows by a key",
    )


def test_rows_without_such_a_call() -> None:
    finding = find_row_order(Evidence(), [SHUFFLED])
    assert finding is not None
    assert finding.explanation.startswith(
        "what a library, a set or an unstable sort returns has no order: the"
    )


@pytest.mark.parametrize("call", [DEVICE, STARTED])
def test_what_cannot_be_suspended_may_have_shuffled_them(call: ExternalCall) -> None:
    assert find_row_order(Evidence((call,)), [SHUFFLED]) is None
    assert find_row_order(Evidence((call, GROUPED)), [SHUFFLED]) is not None


@pytest.mark.parametrize(
    "result",
    [
        ExperimentResult(2, (), row_digests=("a", "a")),
        ExperimentResult(3, (1,), row_digests=("a", "b", "a")),
        ExperimentResult(2, (1,), row_digests=("", "")),
    ],
)
def test_other_rows(result: ExperimentResult) -> None:
    assert find_row_order(Evidence((GROUPED,)), [result]) is None
