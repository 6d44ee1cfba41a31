"""Suspects that are tested in the process that made the runs of the verdict: A, B, and A again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.diagnose import Experiment, ExperimentResult, ExternalCall, Finding
from pytest_repro.engine.diagnose import ExperimentFailed, KnownCall, ThisProcess
from pytest_repro.engine.diagnose.diagnose import diagnose_verdict
from tests.engine.diagnose.test_diagnose import CLOCK, DIVERGED, FAILED, GREW, NOISE, FakeTarget

Show = Callable[[int, int, frozenset[str]], object]


class Here:
    """A program that has made two runs in this process; *forks* is the same in a companion."""

    def __init__(self, show: Show, *calls: ExternalCall, forks: Show | None = None) -> None:
        self.here = FakeTarget(show, calls=calls, run_count=2)
        self.forks = FakeTarget(forks or show, calls=calls, changes=(GREW,))
        self.known: list[KnownCall] = []
        self.names: tuple[str, ...] = ()
        self.test = ""
        self._digests = [str(show(number, number, frozenset())) for number in range(2)]

    def find_cause(self, verdict: Verdict = DIVERGED) -> Finding:
        self.forks.this_process = ThisProcess(self._run, self._digests, self.known, self.names, self.test)
        return diagnose_verdict(self.forks, verdict, 60.0, lambda purpose: None).cause

    def _run(self, experiment: Experiment, seconds: float) -> ExperimentResult:
        return self.here.run_experiment(experiment, None, seconds, seconds)


def test_a_cause_takes_eight_runs_and_no_other_process() -> None:
    target = Here(lambda n, earlier, suspended: "os-entropy" in suspended or n, NOISE)
    cause = target.find_cause()
    assert (cause.name, cause.location, cause.ruled_out) == ("os-entropy", "/a.py:4", ())
    assert (target.here.run_count - 2, target.forks.experiments) == (8, [])
    assert [len(each.suspended) for each in target.here.experiments] == [0, 1, 0]


def test_another_suspect_is_ruled_out_by_two_runs() -> None:
    target = Here(lambda n, earlier, suspended: "os-entropy" in suspended or n, NOISE, CLOCK)
    cause = target.find_cause()
    assert (cause.name, cause.ruled_out, target.here.run_count - 2) == ("os-entropy", ("clock",), 10)


def test_a_coin_takes_more_runs() -> None:
    flips = "01100101110100101100101110001010110100111010011" * 4
    target = Here(lambda n, earlier, suspended: "os-entropy" in suspended or flips[n], NOISE)
    assert target.find_cause().name == "os-entropy"
    assert sum(len(each.cells) for each in target.here.experiments if each.suspended) >= 7


@pytest.mark.parametrize("settled", [2, 4, 6])
def test_state_that_settles_is_no_cure(settled: int) -> None:
    """A cache is filled after some runs; then runs agree, whatever is suspended."""
    target = Here(
        lambda n, earlier, suspended: min(n, settled), NOISE, forks=lambda n, earlier, suspended: earlier
    )
    cause = target.find_cause()
    assert (cause.name, cause.location) == ("shared-state", "/a.py:1")


def test_suspended_it_makes_all_runs_fail() -> None:
    target = Here(lambda n, earlier, suspended: FAILED if "clock" in suspended else n, CLOCK)
    assert target.find_cause().name == "unknown"


def test_a_suspension_that_hangs_shows_nothing() -> None:
    target = Here(lambda n, earlier, suspended: "os-entropy" in suspended or n, NOISE, CLOCK)

    def run(experiment: Experiment, interpreter: object, seconds: float, left: float) -> ExperimentResult:
        if "clock" in experiment.suspended:
            raise ExperimentFailed("took too long")
        return FakeTarget.run_experiment(target.here, experiment, None, seconds, left)

    target.here.run_experiment = run  # type: ignore[method-assign, assignment]
    cause = target.find_cause()
    assert (cause.name, cause.ruled_out, target.forks.experiments) == ("os-entropy", (), [])


def test_a_known_call_takes_four_runs() -> None:
    show: Show = lambda n, earlier, suspended: "os-entropy" in suspended or n  # noqa: E731
    first, second, third = (Here(show, NOISE, CLOCK) for _ in range(3))
    first.test = third.test = "test_a.py::test_a"
    first.find_cause()
    assert first.known == [KnownCall(NOISE, "test_a.py::test_a")]
    second.known = third.known = first.known
    cause = second.find_cause()
    assert (cause.name, cause.location, second.here.run_count - 2) == ("os-entropy", "/a.py:4", 4)
    (experiment,) = second.here.experiments
    assert (experiment.suspended, experiment.free_run) == (("os-entropy:numpy",), 1)
    assert third.find_cause() == cause
    assert third.here.run_count - 2 == 3  # other parameters of the test in which it is known to matter


TWO_HELPERS = [KnownCall(CLOCK, "test_a.py::test_b"), KnownCall(NOISE, "test_a.py::test_c")]


@pytest.mark.parametrize(
    ("calls", "test", "runs"),
    [
        ((NOISE,), "test_a.py::test_d", 5),
        ((CLOCK, NOISE), "test_a.py::test_d", 8),
        ((NOISE,), "test_a.py::test_c", 3),
    ],
    ids=["one is called", "both are called", "other parameters"],
)
def test_of_two_known_calls_those_that_the_test_makes_are_tried(
    calls: tuple[ExternalCall, ...], test: str, runs: int
) -> None:
    target = Here(lambda n, earlier, suspended: "os-entropy" in suspended or n, *calls)
    target.known, target.test = TWO_HELPERS[:], test
    cause = target.find_cause()
    assert (cause.name, cause.location, target.here.run_count - 2) == ("os-entropy", "/a.py:4", runs)
    assert target.known == [TWO_HELPERS[1], TWO_HELPERS[0]]  # the most recent first
    target.here.experiments.clear()
    target.find_cause()
    assert target.here.experiments[-1].suspended == ("os-entropy:numpy",)


@pytest.mark.parametrize("other", ["0110", "01200120", "0123412340123401234", "0122222"])
def test_a_known_call_that_is_not_used(other: str) -> None:
    """Something else makes the test differ: it alternates, counts in a circle, or settles."""
    target = Here(lambda n, earlier, suspended: other[n % len(other)], NOISE)
    target.known = [KnownCall(NOISE, "test_a.py::test_b")]
    assert target.find_cause().name == "unknown"


def test_a_known_call_beside_another_cause_of_the_difference() -> None:
    """What makes ``y`` differ has settled, though the call makes ``x`` differ in each run."""
    target = Here(lambda n, earlier, suspended: "os-entropy" in suspended or n, NOISE)
    target.known = [KnownCall(NOISE, "test_a.py::test_b")]
    target.names = ("x", "y")
    assert target.find_cause().name == "os-entropy"
    assert len(target.forks.experiments) > 0  # this process cannot tell


def test_a_known_call_at_another_line_proves_nothing() -> None:
    target = Here(lambda n, earlier, suspended: "os-entropy" in suspended or n, NOISE)
    target.known = [KnownCall(replace(NOISE, location="/b.py:1"), "")]
    assert target.find_cause().location == "/a.py:4"
    assert target.here.run_count - 2 > 4
    settled = Here(lambda n, earlier, suspended: min(n, 1), NOISE, forks=lambda n, earlier, s: earlier)
    settled.known = [KnownCall(NOISE, "")]
    assert settled.find_cause().name == "shared-state"


def test_what_was_seen_here_is_told_if_no_other_process_can_run() -> None:
    target = Here(lambda n, earlier, suspended: (n, "x"), NOISE, CLOCK)

    def fail(*_: object) -> ExperimentResult:
        raise ExperimentFailed("the companion died")

    target.forks.run_experiment = fail  # type: ignore[method-assign, assignment]
    cause = target.find_cause()
    assert cause.explanation == "the cause could not be established: the companion died"
    assert cause.ruled_out == ()
    assert cause.seen == ()  # both were tested
