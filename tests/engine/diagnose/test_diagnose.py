"""An inquiry into programs that are only played: what is tried, and what is said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

import pytest

from pytest_repro.axes import Interpreter
from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.diagnose.experiment import Experiment, ExperimentResult
from pytest_repro.core.diagnose.external_call import ExternalCall
from pytest_repro.core.diagnose.finding import Change
from pytest_repro.core.plan.cell import REPEAT, Cell
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.run import Run
from pytest_repro.core.trace.line_steps import LineStep
from pytest_repro.core.trace.trace import Op, Trace
from pytest_repro.engine.diagnose.budgeted_experiments import (
    ExperimentBudget,
    ExperimentFailed,
    OutOfTime,
    compute_required_runs,
)
from pytest_repro.engine.diagnose.diagnose import Diagnosis, diagnose_verdict

RUNS = (Run(REPEAT, 0, "passed", 0.001), Run(REPEAT, 1, "passed", 0.001))
DIVERGED = Verdict("diverged", Plan(), RUNS, (Mismatch("x", "x", 0, "", REPEAT, 1, "values"),))
SLOW = replace(DIVERGED, runs=tuple(replace(run, seconds=0.1) for run in RUNS))
CLOCK = ExternalCall("time.time()", "clock", "/a.py:3")
NOISE = ExternalCall("numpy.random.default_rng()", "os-entropy", "/a.py:4")
GREW = Change("a.CACHE", "grew from 0 to 1 items", "/a.py:1")


@dataclass
class Played:
    """A program: what the run of a number shows, if some suspects are held.

    *number* counts all runs made so far, *left* those made before in the same process.
    """

    shows: Callable[[int, int, frozenset[str]], object]
    fresh_processes: bool = True
    calls: tuple[ExternalCall, ...] = ()
    changed: tuple[Change, ...] = ()
    asked: list[Experiment] = field(default_factory=list)
    made: int = 0

    def start_interpreters(self, interpreters: Sequence[Interpreter], seconds: float) -> None:
        raise AssertionError("no other interpreter is needed")

    def run_experiment(
        self, experiment: Experiment, interpreter: Interpreter | None, seconds: float, left: float
    ) -> ExperimentResult:
        self.asked.append(experiment)
        shown: list[object] = []
        for number in range(len(experiment.cells)):
            stirred = experiment.shift_heap and (number == 1 or not experiment.fresh_forks)
            held = frozenset(experiment.suspended) | ({"stirred"} if stirred else set())
            shown.append(self.shows(self.made, 0 if experiment.fresh_forks else number, held))
            self.made += 1
            if (experiment.trace_ops or experiment.trace_lines) and shown[-1] != shown[0]:
                break
        differing = tuple(n for n, each in enumerate(shown) if each != shown[0])
        ends = (shown[0], shown[-1])
        return ExperimentResult(
            len(shown), differing, str(shown[0]), self.calls, self.changed,
            tuple(map(traced, ends)) if experiment.trace_ops else (),
            tuple(map(lined, ends)) if experiment.trace_lines else (),
            outcomes=tuple({"failed" if each == BROKEN else "passed" for each in shown}),
        )  # fmt: skip


BROKEN = "raised"
"""Shown by a run that fails."""


def traced(value: object) -> Trace:
    digest = f"{hash(value) & 0xFFFF:016x}"
    return Trace.from_ops([Op("record x", (digest,), (digest,), "/a.py:9")])


def lined(value: object) -> tuple[LineStep, ...]:
    return LineStep("/a.py:2", (("name", "cat"),)), LineStep("/a.py:7", (("order", str(value)),))


def answered(subject: Played, seconds: float = 60.0, verdict: Verdict = DIVERGED) -> Diagnosis:
    return diagnose_verdict(subject, verdict, seconds, lambda doing: None)


def test_the_one_suspect_that_makes_it_is_established() -> None:
    subject = Played(lambda n, left, held: 0 if "clock" in held else n, calls=(NOISE, CLOCK))
    answer = answered(subject)
    assert answer.cause.name == "clock"
    assert answer.cause.location == "/a.py:3"
    assert answer.cause.ruled_out == ()  # it was heard, and is first by name
    assert answer.divergence is not None
    assert (answer.divergence.kind, answer.divergence.op) == ("input", "record x")


def test_what_was_not_it_is_ruled_out_in_order() -> None:
    found = answered(Played(lambda n, left, held: 0 if "os-entropy" in held else n, calls=(NOISE, CLOCK)))
    assert (found.cause.name, found.cause.location) == ("os-entropy", "/a.py:4")
    assert found.cause.ruled_out == ("clock",)


@pytest.mark.parametrize("differs", [1, 3])
def test_what_differs_seldom_is_made_to_differ(differs: int) -> None:
    """A race: one run in five, or three in five, unless tasks are held in order."""

    def shows(number: int, left: int, held: frozenset[str]) -> object:
        return "completion-order" not in held and number % 5 >= 5 - differs

    subject = Played(shows)
    found = answered(subject).cause
    assert found.name == "completion-order"
    assert "/a.py:7" in found.location
    held = next(each for each in subject.asked if each.suspended == ("completion-order",))
    assert len(held.cells) >= 20


def test_what_does_not_differ_again_is_unknown() -> None:
    subject = Played(lambda n, left, held: 0)
    found = answered(subject).cause
    assert found.name == "unknown"
    assert found.explanation.startswith("run again 89 times in a fresh process, it did not differ: ")
    assert found.ruled_out == ()


def test_a_suspect_without_which_all_runs_fail_is_not_the_cause() -> None:
    def shows(number: int, left: int, held: frozenset[str]) -> object:
        return BROKEN if "clock" in held else "os-entropy" not in held and number

    found = answered(Played(shows, calls=(NOISE, CLOCK))).cause
    assert (found.name, found.ruled_out) == ("os-entropy", ("clock",))


def test_what_is_too_rare_for_the_time_there_is_has_no_cause() -> None:
    """An innocent suspect would often be held just when nothing happens."""
    subject = Played(lambda n, left, held: n % 20 == 19, calls=(CLOCK,))
    found = answered(subject, seconds=10.0, verdict=SLOW).cause
    assert found.name == "unknown"
    assert "runs differed from the first: to tell a suspect from chance each takes" in found.explanation


def test_a_first_run_that_is_the_rare_one_does_not_pass_for_a_difference_each_time() -> None:
    """Else three equal runs without an innocent suspect would establish it."""
    subject = Played(lambda n, left, held: n in (0, 2) or Random(n).random() < 0.15, calls=(CLOCK,))
    assert answered(subject).cause.name == "unknown"


def test_two_causes_at_once_are_both_named_and_no_third() -> None:
    def shows(number: int, left: int, held: frozenset[str]) -> object:
        return "clock" not in held and number, "os-entropy" not in held and number

    found = answered(Played(shows, calls=(NOISE, CLOCK))).cause
    assert (found.name, found.location) == ("clock", "/a.py:3")
    assert "runs are equal only if several are suspended: also os-entropy at /a.py:4" in found.explanation
    assert not {"clock", "os-entropy"} & set(found.ruled_out)
    assert "file-order" not in found.explanation


def test_a_cause_beside_what_is_left_behind() -> None:
    def shows(number: int, left: int, held: frozenset[str]) -> object:
        return left, "clock" not in held and number

    found = answered(Played(shows, calls=(CLOCK,), changed=(GREW,))).cause
    assert found.name == "shared-state"
    assert "a.CACHE grew from 0 to 1 items" in found.explanation
    assert "also clock at /a.py:3" in found.explanation
    assert "completion-order" not in found.explanation
    assert not {"clock", "shared-state"} & set(found.ruled_out)


def test_what_is_left_behind_is_told_from_addresses() -> None:
    left = answered(Played(lambda n, left, held: left, changed=(GREW,))).cause
    assert (left.name, left.location) == ("shared-state", "/a.py:1")
    laid = answered(Played(lambda n, left, held: (left, "stirred" in held))).cause
    assert (laid.name, laid.location) == ("address-order", "/a.py:7")
    assert "the runs first diverged at /a.py:7, in order" in laid.explanation


def test_what_is_left_behind_unseen_has_no_name() -> None:
    found = answered(Played(lambda n, left, held: left)).cause
    assert found.name == "unknown"
    assert "each begun in a fresh process, runs were equal" in found.explanation
    assert "shared-state" not in found.ruled_out


def test_a_process_that_is_another_each_time_says_nothing_of_addresses() -> None:
    """The number of objects: it hangs on what the experiment itself has made."""

    def shows(number: int, left: int, held: frozenset[str]) -> object:
        return (len(subject.asked), left) if subject.asked[-1].fresh_forks else left

    subject = Played(shows, changed=(GREW,))
    assert answered(subject).cause.name == "unknown"
    assert any(each.fresh_forks and each.shift_heap for each in subject.asked)


def test_where_no_process_is_fresh_it_is_never_shared_state() -> None:
    subject = Played(lambda n, left, held: n, fresh_processes=False, changed=(GREW,))
    found = answered(subject).cause
    assert found.name == "unknown"
    assert "with each of the suspects held and with all of them together" in found.explanation
    assert not any(each.fresh_forks or each.shift_heap for each in subject.asked)
    assert {"clock", "os-entropy"} <= set(found.ruled_out)
    assert not {"shared-state", "address-order"} & set(found.ruled_out)  # nothing could be tried for them
    assert "tried, and not held: " in found.explanation


def test_time_that_is_spent_is_said() -> None:
    found = answered(Played(lambda n, left, held: n), seconds=0.0).cause
    assert found.name == "unknown"
    assert found.explanation == (
        "it could not be established: the 0 s for it were spent (repro_diagnose_seconds)"
    )


class Breaking(Played):
    """A program that kills its process, or an inquiry with a bug."""

    def __init__(self, error: Exception, after: int) -> None:
        super().__init__(lambda n, left, held: n)
        self._error, self._after = error, after

    def run_experiment(
        self, experiment: Experiment, interpreter: Interpreter | None, seconds: float, left: float
    ) -> ExperimentResult:
        if len(self.asked) == self._after:
            raise self._error
        return super().run_experiment(experiment, interpreter, seconds, left)


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_subject_that_gives_no_answer_is_told(after: int) -> None:
    found = answered(Breaking(ExperimentFailed("the fork died (SIGKILL)"), after)).cause
    assert (found.name, found.fix != "") == ("unknown", True)
    assert found.explanation.startswith("it could not be established: the fork died (SIGKILL)")


class Hanging(Played):
    """A program that never ends while the clock stands still."""

    def run_experiment(
        self, experiment: Experiment, interpreter: Interpreter | None, seconds: float, left: float
    ) -> ExperimentResult:
        if "clock" in experiment.suspended:
            raise ExperimentFailed("took too long")
        return super().run_experiment(experiment, interpreter, seconds, left)


def test_a_suspect_that_cannot_be_held_is_neither_ruled_out_nor_the_end() -> None:
    subject = Hanging(lambda n, left, held: 0 if "os-entropy" in held else n, calls=(NOISE, CLOCK))
    found = answered(subject).cause
    assert (found.name, found.ruled_out) == ("os-entropy", ())
    found = answered(Hanging(lambda n, left, held: n, calls=(NOISE, CLOCK))).cause
    assert found.explanation == "it could not be established: took too long"
    assert "os-entropy" in found.ruled_out
    assert "clock" not in found.ruled_out


class Slow(Played):
    """A program that takes as long as it may, by a clock of its own."""

    now = 0.0
    allowed: float

    def run_experiment(
        self, experiment: Experiment, interpreter: Interpreter | None, seconds: float, left: float
    ) -> ExperimentResult:
        self.allowed = seconds
        self.now += seconds
        raise ExperimentFailed("took too long")


@pytest.mark.parametrize(
    ("budget", "run", "allowed"), [(60.0, 0.001, 20.02), (600.0, 1.0, 40.0), (4.0, 0.001, 4.0)]
)
def test_one_experiment_may_not_take_all_the_time(
    budget: float, run: float, allowed: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = Slow(lambda n, left, held: n)
    monkeypatch.setattr("time.monotonic", lambda: subject.now)
    bench = ExperimentBudget(subject, budget, run, lambda doing: None)
    spent = "4 s for it were spent .repro_diagnose_seconds.: took too long"
    with pytest.raises(ExperimentFailed, match=spent if budget == allowed else "^took too long") as raised:
        bench.run_experiment(Experiment((Cell(REPEAT, 0, {}),)), "run again")
    assert subject.allowed == pytest.approx(allowed)
    assert isinstance(raised.value, OutOfTime) == (budget == allowed)


def test_an_inquiry_that_breaks_hides_nothing() -> None:
    answer = answered(Breaking(ZeroDivisionError("by zero"), 1))
    assert answer.divergence is None
    assert answer.cause.explanation == "the inquiry itself broke: ZeroDivisionError: by zero"
    with pytest.raises(KeyboardInterrupt):
        answered(Breaking(KeyboardInterrupt(), 1))  # type: ignore[arg-type]


def test_a_bench_keeps_half_of_the_time_and_counts() -> None:
    subject = Played(lambda n, left, held: 0)
    bench = ExperimentBudget(subject, 10.0, 0.5, lambda doing: None)
    assert bench.limit_runs(100) == 9
    assert bench.limit_runs(3) == 3
    asked = Experiment((Cell(REPEAT, 0, {}),))
    bench.run_experiment(asked, "run again")
    with pytest.raises(OutOfTime):
        ExperimentBudget(subject, 1.0, 2.0, lambda doing: None).run_experiment(asked, "run again")
    assert (bench.runs, len(subject.asked)) == (1, 1)


@pytest.mark.parametrize(
    ("differing", "runs", "needed"), [(5, 5, 3), (1, 2, 35), (3, 4, 12), (1, 5, 95), (1, 100, 1996)]
)
def test_as_many_runs_as_make_chance_unlikely(differing: int, runs: int, needed: int) -> None:
    assert compute_required_runs(differing, runs) == needed
