"""Runs of several ranks, put together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.core.observation import Key, Observation
from pytest_repro.core.ranks import Part, joined, named, unnamed, whole
from pytest_repro.core.run import Outcome, Run


def part(
    rank: int, outcome: Outcome = "passed", ended: float = 0.0, error: str = "", names: str = ""
) -> Part:
    run = Run("repeat", 0, outcome, 1.0 + rank, len(names), error=error, traceback=error and f"in {rank}")
    found = (Observation((name, 0, ""), "int", "", (), b"1", "") for name in names)
    return Part(rank, run, {each.key: each for each in found}, ended)


@given(st.integers(0, 10**6), st.tuples(st.text(), st.integers(0), st.text()))
def test_a_name_with_its_rank_can_be_taken_apart_again(rank: int, key: Key) -> None:
    assert unnamed(named(rank, key)) == (rank, key)


def test_names_of_ranks_do_not_meet() -> None:
    found = [each.key[0] for each in joined([part(0, names="ab"), part(1, names="b")])]
    assert found == ["rank0.a", "rank0.b", "rank1.b"]


def test_a_run_failed_as_the_rank_that_failed_first() -> None:
    parts = [part(0, "failed", 2.0, "later"), part(1, "failed", 1.0, "first"), part(2, ended=0.5)]
    run = whole(parts)
    assert (run.outcome, run.error, run.traceback) == ("failed", "rank 1: first", "in 1")
    assert whole(reversed(parts)) == run


def test_a_failure_outweighs_a_skip_and_a_skip_a_pass() -> None:
    assert whole([part(0), part(1, "skipped", error="no")]).error == "rank 1: no"
    assert whole([part(0, "skipped", 1.0), part(1, "failed", 2.0)]).outcome == "failed"


def test_what_ranks_observe_is_added_up_and_the_slowest_counts() -> None:
    run = whole([part(0, names="ab"), part(1, names="c")])
    assert (run.outcome, run.observations, run.seconds) == ("passed", 3, 2.0)
