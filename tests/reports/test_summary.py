"""The counts of a session."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_repro.reports.summary import count_compared, format_counts, format_failing_lines, format_too_few


def row(verdict: str, *absent: str) -> dict[str, Any]:
    runs = [{"axis": axis, "value": 1, "outcome": "skipped", "reason": "none"} for axis in absent]
    return {"nodeid": "a", "verdict": verdict, "runs": [{"axis": "repeat", "outcome": "passed"}, *runs]}


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "0 compared, 0 observed nothing"),
        (
            [*[row("reproduced")] * 11, row("diverged"), *[row("unobserved")] * 2, row("skipped", "device")],
            "12 compared (11 reproduced, 1 diverged), 2 observed nothing, 1 skipped on every device",
        ),
        (
            [row("no-baseline"), row("skipped"), row("skipped", "isa", "device"), {"runs": []}],
            "0 compared, 0 observed nothing, 0 skipped on every device, 1 no-baseline, "
            "1 ran once, nothing compared, 1 skipped, 1 skipped at every value of device, isa",
        ),
        (
            [row(word) | {"expected": True} for word in ("failed", "skipped", "diverged")] + [row("failed")],
            "1 compared (1 diverged), 0 observed nothing, 2 xfailed, 1 failed",
        ),
        (
            [row("reproduced", "device")],
            "1 compared (1 reproduced), 0 observed nothing, 0 skipped on every device",
        ),
        (
            [row("reproduced") | {"plan": {"vary": {"device": ["cpu", "cuda"]}}}],
            "1 compared (1 reproduced), 0 observed nothing, 0 skipped on every device",
        ),
        (
            [row("reproduced") | {"plan": {"vary": {"threads": [1, 2], "device": ["cpu"]}}}],
            "1 compared (1 reproduced), 0 observed nothing",
        ),
    ],
)
def test_what_is_counted(rows: list[dict[str, Any]], says: str) -> None:
    assert format_counts(rows) == says


def test_a_test_that_observes_nothing_names_what_it_left_out() -> None:
    left = row("unobserved") | {"headline": "observed nothing", "not_compared": ["a (dict)", "b (float)"]}
    assert [*format_failing_lines([left])] == [
        "unobserved  a  observed nothing; not compared: a (dict), b (float)"
    ]
    left["not_compared"] = ["a (int)", "b (int)", "c (int)", "d (int)"]
    assert [*format_failing_lines([left])] == [
        "unobserved  a  observed nothing; not compared: a (int), b (int), c (int), …"
    ]


def test_many_tests_that_observe_nothing_share_a_line() -> None:
    rows = [row("diverged"), *[row("unobserved")] * 5]
    each = ["diverged  a", *["unobserved  a"] * 5]
    assert [*format_failing_lines(rows, is_verbose=False)] == each
    rows.append(row("unobserved"))
    assert [*format_failing_lines(rows)] == [*each, "unobserved  a"]
    assert [*format_failing_lines(rows, is_verbose=False)] == [
        "diverged  a", "unobserved  6 tests: -v lists them"
    ]  # fmt: skip


def test_a_gate_counts_what_was_compared() -> None:
    rows = [row("reproduced"), row("diverged"), row("unobserved"), row("skipped"), row("failed")]
    assert format_too_few(count_compared(rows), 2, "x") == format_too_few(2, 0, "x") == ""
    assert (
        format_too_few(count_compared(rows), 3, "x=3")
        == "too few   2 tests were compared, x=3 requires at least 3: the session fails"
    )
    assert format_too_few(0, 1, "x=1").startswith("too few   no tests were compared")
