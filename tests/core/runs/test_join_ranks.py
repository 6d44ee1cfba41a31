"""Runs of several ranks, put together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.core.runs.join_ranks import (
    RankRun,
    join_observations,
    join_runs,
    prefix_rank,
    select_worst,
    split_rank,
)
from pytest_repro.core.runs.observation import Key, Observation
from pytest_repro.core.runs.run import SUBTEST_ERROR, Outcome, RecordedWarning, Run


def part(
    rank: int, outcome: Outcome = "passed", ended: float = 0.0, error: str = "", names: str = "",
    expected: str | None = None, warned: str = "", kind: str = "ValueError",
) -> RankRun:  # fmt: skip
    run = Run(
        "repeat",
        0,
        outcome,
        1.0 + rank,
        len(names),
        error=error,
        error_type=kind,
        traceback=error and f"in {rank}",
        warnings=tuple(RecordedWarning("a.B", text, "f.py", 1) for text in warned),
    )
    found = (Observation((name, 0, ""), "int", "", (), b"1", "") for name in names)
    return RankRun(rank, run, {each.key: each for each in found}, ended, expected)


@given(st.integers(0, 10**6), st.tuples(st.text(), st.integers(0), st.text()))
def test_a_name_with_its_rank_can_be_taken_apart_again(rank: int, key: Key) -> None:
    assert split_rank(prefix_rank(rank, key)) == (rank, key)


def test_names_of_ranks_do_not_meet() -> None:
    found = [each.key[0] for each in join_observations([part(0, names="ab"), part(1, names="b")])]
    assert found == ["rank0.a", "rank0.b", "rank1.b"]


def test_a_run_failed_as_the_rank_that_failed_first() -> None:
    parts = [part(0, "failed", 2.0, "later"), part(1, "failed", 1.0, "first"), part(2, ended=0.5)]
    run = join_runs(parts)
    told = "in 1\n\nrank 0, 1 s later: later"
    assert (run.outcome, run.error, run.traceback) == ("failed", "rank 1: first", told)
    assert join_runs(reversed(parts)) == run


def test_ranks_that_failed_alike_are_told_together() -> None:
    both = [part(0, "failed", 2.0, "boom"), part(1, "failed", 1.0, "boom")]
    assert join_runs(both).error == "each rank: boom"
    assert join_runs([*both, part(2)]).error == "ranks 0, 1: boom"
    assert join_runs([part(0, "failed", 2.0, "boom")]).error == "rank 0: boom"


def test_what_was_expected_hides_no_failure_and_a_subtest_none_of_a_body() -> None:
    known, sub = (
        part(0, "failed", 1.0, "known", expected="why"),
        part(1, "failed", 2.0, "sub", kind=SUBTEST_ERROR),
    )
    assert select_worst([known, part(1)]) is known
    assert select_worst([known, sub]) is sub
    assert select_worst([known, sub, part(2, "failed", 3.0, "real")]).rank == 2


def test_warnings_are_told_by_rank() -> None:
    run = join_runs([part(0, warned="ab"), part(1, warned="bb"), part(2, warned="b")])
    assert [each.text for each in run.warnings] == ["a (in rank 0)", "b (in each rank)"]
    assert (
        join_runs([part(0, warned="a"), part(1, warned="a"), part(2)]).warnings[0].text == "a (in ranks 0, 1)"
    )


def test_a_failure_outweighs_a_skip_and_a_skip_a_pass() -> None:
    assert join_runs([part(0), part(1, "skipped", error="no")]).error == "rank 1: no"
    assert join_runs([part(0, "skipped", 1.0), part(1, "failed", 2.0)]).outcome == "failed"


def test_what_ranks_observe_is_added_up_and_the_slowest_counts() -> None:
    run = join_runs([part(0, names="ab"), part(1, names="c")])
    assert (run.outcome, run.observation_count, run.seconds) == ("passed", 3, 2.0)
