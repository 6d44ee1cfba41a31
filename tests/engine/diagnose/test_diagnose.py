"""Diagnoses of simulated programs: which experiments run, and what they find."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

import pytest

from pytest_repro.axes import Interpreter
from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.diagnose import Change, Experiment, ExperimentResult, ExternalCall
from pytest_repro.core.plan.plan import REPEAT, Cell, Plan
from pytest_repro.core.runs.run import Run
from pytest_repro.core.trace.divergence import LineStep
from pytest_repro.core.trace.trace import Op, Trace
from pytest_repro.engine.diagnose import (
    ExperimentBudget,
    ExperimentFailed,
    OutOfTime,
    ThisProcess,
)
from pytest_repro.engine.diagnose.diagnose import Diagnosis, diagnose_verdict
from pytest_repro.engine.diagnose.findings import describe_unseen_state

RUNS = (Run(REPEAT, 0, "passed", 0.001), Run(REPEAT, 1, "passed", 0.001))
DIVERGED = Verdict("diverged", Plan(), RUNS, (Mismatch("x", "x", 0, "", REPEAT, 1, "values"),))
SLOW = replace(DIVERGED, runs=tuple(replace(run, seconds=0.1) for run in RUNS))
CLOCK = ExternalCall("time.time()", "clock", "/a.py:3")
NOISE = ExternalCall("numpy.random.default_rng()", "os-entropy", "/a.py:4")
GREW = Change("a.CACHE", "grew from 0 to 1 items", "/a.py:1")


@dataclass
class FakeTarget:
    """A program; *show* is the result of a run.

    Its arguments: the number of runs so far, that of runs so far in the same process, and the
    suspended suspects, with ``"shifted"`` for another memory layout.
    """

    show: Callable[[int, int, frozenset[str]], object]
    fresh_processes: bool = True
    this_process: ThisProcess | None = None
    calls: tuple[ExternalCall, ...] = ()
    changes: tuple[Change, ...] = ()
    run_seconds: float = 0.0  # of processor time
    experiments: list[Experiment] = field(default_factory=list)
    run_count: int = 0

    def start_interpreters(self, interpreters: Sequence[Interpreter], seconds: float) -> None:
        raise AssertionError("no other interpreter is needed")

    def run_experiment(
        self, experiment: Experiment, interpreter: Interpreter | None, seconds: float, seconds_left: float
    ) -> ExperimentResult:
        self.experiments.append(experiment)
        results: list[object] = []
        for number in range(len(experiment.cells)):
            shifted = experiment.shift_heap and (number == 1 or not experiment.fresh_forks)
            names = {suspect.removesuffix(":numpy") for suspect in experiment.suspended}
            names = set() if number and number == experiment.free_run else names
            suspended = frozenset(names | ({"shifted"} if shifted else set()))
            is_fresh = experiment.fresh_forks or GREW.name in experiment.restored_names
            results.append(self.show(self.run_count, 0 if is_fresh else number, suspended))
            self.run_count += 1
            stops = experiment.trace_ops or experiment.trace_lines or experiment.until_differing
            differs = results[-1] != results[0]
            if number and stops and not experiment.fresh_forks and differs != (number == experiment.free_run):
                break
        first_and_last = (results[0], results[min(experiment.free_run, number) or -1])
        return ExperimentResult(
            len(results),
            tuple(n for n, result in enumerate(results) if result != results[0]),
            str(results[0]),
            self.calls,
            self.changes,
            tuple(map(make_trace, first_and_last)) if experiment.trace_ops else (),
            tuple(map(make_steps, first_and_last)) if experiment.trace_lines else (),
            outcomes=tuple({"failed" if result == FAILED else "passed" for result in results}),
            digests=tuple(map(str, results)),
            cpu_seconds=self.run_seconds * len(results),
        )


FAILED = "failed"
"""The result of a run that fails."""


def make_trace(value: object) -> Trace:
    digest = f"{hash(value) & 0xFFFF:016x}"
    return Trace.from_ops([Op("record x", (digest,), (digest,), "/a.py:9")])


def make_steps(value: object) -> tuple[LineStep, ...]:
    return LineStep("/a.py:2", (("name", "cat"),)), LineStep("/a.py:7", (("order", str(value)),))


def diagnose(target: FakeTarget, seconds: float = 60.0, verdict: Verdict = DIVERGED) -> Diagnosis:
    return diagnose_verdict(target, verdict, seconds, lambda purpose: None)


def test_one_cause() -> None:
    target = FakeTarget(lambda n, earlier, suspended: 0 if "clock" in suspended else n, calls=(NOISE, CLOCK))
    diagnosis = diagnose(target)
    assert diagnosis.cause.name == "clock"
    assert diagnosis.cause.location == "/a.py:3"
    assert diagnosis.cause.ruled_out == ()  # it has evidence, and comes first by name
    assert diagnosis.divergence is not None
    assert (diagnosis.divergence.kind, diagnosis.divergence.op) == ("input", "record x")


def test_other_suspects_are_ruled_out() -> None:
    target = FakeTarget(
        lambda n, earlier, suspended: 0 if "os-entropy" in suspended else n, calls=(NOISE, CLOCK)
    )
    cause = diagnose(target).cause
    assert (cause.name, cause.location, cause.ruled_out) == ("os-entropy", "/a.py:4", ("clock",))


@pytest.mark.parametrize("differs", [1, 3])
def test_rare_difference_is_repeated(differs: int) -> None:
    """A race in one run of five, or three of five, unless tasks run in order."""

    def show(number: int, earlier: int, suspended: frozenset[str]) -> object:
        return "completion-order" not in suspended and number % 5 >= 5 - differs

    target = FakeTarget(show)
    cause = diagnose(target).cause
    assert cause.name == "completion-order"
    assert "/a.py:7" in cause.location
    run_counts = [len(e.cells) for e in target.experiments if e.suspended == ("completion-order",)]
    assert max(run_counts) >= 10


def test_a_cache_takes_few_runs_though_only_the_first_of_each_process_differs() -> None:
    target = FakeTarget(lambda n, earlier, suspended: min(earlier, 1), changes=(GREW,))
    cause = diagnose(target).cause
    assert (cause.name, cause.location) == ("shared-state", "/a.py:1")
    assert target.run_count <= 24


def test_what_seems_to_settle_by_chance_is_no_state() -> None:
    """The first six runs are those of a cache, later ones those of a coin."""
    flips = Random(1)
    target = FakeTarget(
        lambda n, earlier, suspended: min(earlier, 1) if n < 6 else flips.randrange(2), changes=(GREW,)
    )
    assert diagnose(target).cause.name == "unknown"


def test_addresses_that_differ_between_experiments_take_one_of_fresh_processes() -> None:
    """And one of them with another memory layout."""

    def show(number: int, earlier: int, suspended: frozenset[str]) -> object:
        return len(target.experiments), earlier > 0 and number, "shifted" in suspended

    target = FakeTarget(show)
    assert diagnose(target).cause.name == "address-order"
    assert [each.shift_heap for each in target.experiments if each.fresh_forks] == [False, True]


def test_difference_that_does_not_recur() -> None:
    target = FakeTarget(lambda n, earlier, suspended: 0)
    cause = diagnose(target).cause
    assert cause.name == "unknown"
    assert cause.explanation.startswith("94 more runs in a fresh process did not differ: ")
    assert cause.ruled_out == ()


def test_suspect_without_which_all_runs_fail_is_not_the_cause() -> None:
    def show(number: int, earlier: int, suspended: frozenset[str]) -> object:
        return FAILED if "clock" in suspended else "os-entropy" not in suspended and number

    cause = diagnose(FakeTarget(show, calls=(NOISE, CLOCK))).cause
    assert (cause.name, cause.ruled_out) == ("os-entropy", ("clock",))


def test_difference_too_rare_for_the_time_limit() -> None:
    """Few runs with an innocent suspect suspended would often be equal by chance."""
    target = FakeTarget(lambda n, earlier, suspended: n % 20 == 19, calls=(CLOCK,), run_seconds=0.1)
    cause = diagnose(target, seconds=10.0, verdict=SLOW).cause
    assert cause.name == "unknown"
    assert cause.explanation.startswith(
        "3 of 64 runs differed from the first: to distinguish a suspect from chance takes 311 runs each, and "
        "the time limit (repro_diagnose_seconds) allows 10"
    )
    assert cause.seen == ("time.time() at /a.py:3",)
    assert cause.fix.endswith("give the diagnosis more time: repro_diagnose_seconds")


def test_first_run_that_is_the_rare_one() -> None:
    """If all runs seemed to differ, three equal runs would blame an innocent suspect."""
    target = FakeTarget(
        lambda n, earlier, suspended: n in (0, 2) or Random(n).random() < 0.15, calls=(CLOCK,)
    )
    assert diagnose(target).cause.name == "unknown"


def test_two_causes() -> None:
    def show(number: int, earlier: int, suspended: frozenset[str]) -> object:
        return "clock" not in suspended and number, "os-entropy" not in suspended and number

    causes = diagnose(FakeTarget(show, calls=(NOISE, CLOCK))).causes
    assert [(cause.name, cause.location) for cause in causes] == [
        ("os-entropy", "/a.py:4"), ("clock", "/a.py:3"),
    ]  # fmt: skip
    assert [cause.explanation for cause in causes] == [
        "numpy.random.default_rng() draws its seed from the operating system; runs differ while only this "
        "cause acts, and agree while none of the 2 causes does",
        "time.time() reads the wall clock; runs differ while only this cause acts, and agree while none of "
        "the 2 causes does",
    ]
    for cause in causes:
        assert not {"clock", "os-entropy"} & set(cause.ruled_out)
        assert "file-order" in cause.ruled_out


def test_shared_state_and_another_cause() -> None:
    def show(number: int, earlier: int, suspended: frozenset[str]) -> object:
        return earlier, "clock" not in suspended and number

    state, clock = diagnose(FakeTarget(show, calls=(CLOCK,), changes=(GREW,))).causes
    assert (state.name, clock.name, clock.location) == ("shared-state", "clock", "/a.py:3")
    assert "a.CACHE grew from 0 to 1 items" in state.explanation
    assert not {"clock", "shared-state"} & {*state.ruled_out, *clock.ruled_out}


def test_shared_state_differs_from_address_order() -> None:
    cause = diagnose(FakeTarget(lambda n, earlier, suspended: earlier, changes=(GREW,))).cause
    assert (cause.name, cause.location) == ("shared-state", "/a.py:1")
    cause = diagnose(FakeTarget(lambda n, earlier, suspended: (earlier, "shifted" in suspended))).cause
    assert (cause.name, cause.location) == ("address-order", "/a.py:7")
    assert "/a.py:7, in order" in cause.explanation


def test_shared_state_that_cannot_be_seen() -> None:
    cause = diagnose(FakeTarget(lambda n, earlier, suspended: earlier)).cause
    assert cause.name == "unknown"
    assert cause.explanation.startswith(
        "runs that each started in a fresh process were equal, so a run depends on something that earlier "
        "runs in its process have changed; no change was seen that a run leaves behind (memory in use? "
        "state of compiled code, or of installed packages that repro_packages does not name?)"
    )
    assert "shared-state" not in cause.ruled_out


def test_result_that_depends_on_the_experiment_itself() -> None:
    """Such as the number of objects in the process."""

    def show(number: int, earlier: int, suspended: frozenset[str]) -> object:
        return (len(target.experiments), earlier) if target.experiments[-1].fresh_forks else earlier

    target = FakeTarget(show, changes=(GREW,))
    assert diagnose(target).cause.name == "unknown"
    assert any(e.fresh_forks and e.shift_heap for e in target.experiments)


def test_without_fresh_processes_shared_state_is_never_the_cause() -> None:
    target = FakeTarget(lambda n, earlier, suspended: n, fresh_processes=False, changes=(GREW,))
    cause = diagnose(target).cause
    assert cause.name == "unknown"
    assert cause.explanation.startswith(
        "5 of 5 runs differed, and runs still differed with each suspect suspended (clock, completion-order, "
        "file-order, os-entropy, uninitialised-memory) and with all of them suspended together; could not be "
        "suspended: shared-state, address-order "
        "(no fresh process is available)"
    )
    assert not any(e.fresh_forks or e.shift_heap for e in target.experiments)
    assert cause.ruled_out == ()  # each of them may still be one of several causes


def test_time_limit() -> None:
    cause = diagnose(FakeTarget(lambda n, earlier, suspended: n), seconds=0.0).cause
    assert cause.name == "unknown"
    assert cause.explanation == (
        "the cause could not be established: the time limit of 0 s was reached (repro_diagnose_seconds)"
    )


class FailingTarget(FakeTarget):
    """A program that kills its process, or a diagnosis with a bug."""

    def __init__(self, error: Exception, after: int) -> None:
        super().__init__(lambda n, earlier, suspended: n)
        self._error, self._after = error, after

    def run_experiment(
        self, experiment: Experiment, interpreter: Interpreter | None, seconds: float, seconds_left: float
    ) -> ExperimentResult:
        if len(self.experiments) == self._after:
            raise self._error
        return super().run_experiment(experiment, interpreter, seconds, seconds_left)


@pytest.mark.parametrize("after", [0, 1, 2])
def test_failed_experiment_is_reported(after: int) -> None:
    cause = diagnose(FailingTarget(ExperimentFailed("the fork died (SIGKILL)"), after)).cause
    assert (cause.name, cause.fix != "") == ("unknown", True)
    assert cause.explanation.startswith("the cause could not be established: the fork died (SIGKILL)")


class HangingTarget(FakeTarget):
    """A program that never ends while the clock is suspended."""

    def run_experiment(
        self, experiment: Experiment, interpreter: Interpreter | None, seconds: float, seconds_left: float
    ) -> ExperimentResult:
        if "clock" in experiment.suspended:
            raise ExperimentFailed("took too long")
        return super().run_experiment(experiment, interpreter, seconds, seconds_left)


def test_suspect_whose_suspension_hangs_is_not_ruled_out() -> None:
    target = HangingTarget(
        lambda n, earlier, suspended: 0 if "os-entropy" in suspended else n, calls=(NOISE, CLOCK)
    )
    cause = diagnose(target).cause
    assert (cause.name, cause.ruled_out) == ("os-entropy", ())
    cause = diagnose(HangingTarget(lambda n, earlier, suspended: n, calls=(NOISE, CLOCK))).cause
    assert (cause.name, cause.ruled_out) == ("unknown", ())
    assert " with each suspect suspended (os-entropy, shared-state, " in cause.explanation
    assert "clock" not in cause.explanation


class SlowTarget(FakeTarget):
    """A program that takes all the time it is given, by a fake clock."""

    now = 0.0
    timeout: float

    def run_experiment(
        self, experiment: Experiment, interpreter: Interpreter | None, seconds: float, seconds_left: float
    ) -> ExperimentResult:
        self.timeout = seconds
        self.now += seconds
        raise ExperimentFailed("took too long")


@pytest.mark.parametrize(
    ("seconds", "run_seconds", "timeout"), [(60.0, 0.001, 20.02), (600.0, 1.0, 40.0), (4.0, 0.001, 16.0)]
)
def test_one_experiment_cannot_use_all_the_time(
    seconds: float, run_seconds: float, timeout: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = SlowTarget(lambda n, earlier, suspended: n)
    monkeypatch.setattr("time.monotonic", lambda: target.now)
    budget = ExperimentBudget(target, seconds, run_seconds, lambda purpose: None)
    out_of_time = "^the time limit of 4 s was reached .repro_diagnose_seconds.: took too long"
    with pytest.raises(ExperimentFailed, match=out_of_time if seconds == 4.0 else "^took too long") as raised:
        budget.run_experiment(Experiment((Cell(REPEAT, 0, {}),)), "run again")
    assert target.timeout == pytest.approx(timeout)
    assert isinstance(raised.value, OutOfTime) == (seconds == 4.0)


def test_bug_in_the_diagnosis_does_not_hide_the_failure() -> None:
    diagnosis = diagnose(FailingTarget(ZeroDivisionError("by zero"), 1))
    assert diagnosis.divergence is None
    assert diagnosis.cause.explanation == "the diagnosis itself failed: ZeroDivisionError: by zero"
    with pytest.raises(KeyboardInterrupt):
        diagnose(FailingTarget(KeyboardInterrupt(), 1))  # type: ignore[arg-type]


def test_budget_limits_runs() -> None:
    target = FakeTarget(lambda n, earlier, suspended: 0)
    budget = ExperimentBudget(target, 10.0, 0.5, lambda purpose: None)
    assert budget.limit_runs(100) == 10
    assert budget.limit_runs(3) == 3
    experiment = Experiment((Cell(REPEAT, 0, {}),))
    budget.run_experiment(experiment, "run again")
    with pytest.raises(OutOfTime):
        ExperimentBudget(target, 1.0, 5.0, lambda purpose: None).run_experiment(experiment, "run again")
    assert len(target.experiments) == 1


def test_texts_for_changes_that_are_not_the_cause() -> None:
    changes = [Change(f"a.X{number}", "grew") for number in range(5)]
    assert (
        "; runs still differed without a.X0, a.X1, a.X2 and 1 more; a.X4 changed and could not be restored "
        "to see whether it matters (" in describe_unseen_state(changes, ["a.X4"])
    )
