"""Diagnoses of differences between interpreters, with simulated programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import NamedTuple

import pytest

from pytest_repro.axes import Interpreter
from pytest_repro.core.diagnose import Change, Experiment, ExperimentResult, ExternalCall, Finding
from pytest_repro.core.trace.divergence import LineStep
from pytest_repro.engine.diagnose import ExperimentBudget, ExperimentFailed, OutOfTime, ThisProcess
from pytest_repro.engine.diagnose.axis_difference import AxisDiagnosis

NUMBERS = count()
EMPTY = ExternalCall("torch.empty()", "uninitialised-memory", "/a.py:5")


class Process(NamedTuple):
    """The process of a run."""

    seed: str
    number: int
    fresh_imports: bool
    shifted_heap: bool
    suspended: tuple[str, ...]
    earlier_runs: int
    fixed_addresses: bool


@dataclass
class FakeTarget:
    """A program; *show* is the result of a run in a process, *lay_out* its addresses."""

    show: Callable[[Process], object]
    calls: tuple[ExternalCall, ...] = ()
    changes: tuple[Change, ...] = ()
    fresh_processes: bool = True
    this_process: ThisProcess | None = None
    experiments: list[Experiment] = field(default_factory=list)
    used: list[str] = field(default_factory=list)
    lay_out: Callable[[Process], object] = lambda p: p.fixed_addresses or p.number

    def start_interpreters(self, interpreters: Sequence[Interpreter], seconds: float) -> None:
        """There is nothing to start."""

    def run_experiment(
        self, experiment: Experiment, interpreter: Interpreter | None, seconds: float, seconds_left: float
    ) -> ExperimentResult:
        assert interpreter is not None
        self.experiments.append(experiment)
        self.used.append(interpreter.name)
        first = Process(
            interpreter.environ["PYTHONHASHSEED"],
            0 if interpreter.imports_per_run else int(interpreter.name.rpartition(" ")[2]),
            interpreter.imports_per_run,
            False,
            experiment.suspended,
            0,
            interpreter.fixed_addresses,
        )
        processes = [
            first._replace(
                earlier_runs=0 if experiment.fresh_forks or interpreter.imports_per_run else n,
                shifted_heap=experiment.shift_heap and n % 2 == 1,
            )
            for n in range(len(experiment.cells))
        ]
        results = [self.show(each) for each in processes]
        steps = [(LineStep("/a.py:7", (("order", str(result)),)),) for result in results]
        return ExperimentResult(
            len(results),
            tuple(n for n, result in enumerate(results) if result != results[0]),
            str(results[0]),
            self.calls,
            self.changes,
            steps=tuple(steps) if experiment.trace_lines else (),
            outcomes=("passed",),
            digests=tuple(map(str, results)),
            layouts=tuple(str(self.lay_out(each)) for each in processes) if experiment.digest_layout else (),
        )


def make_diagnosis(target: FakeTarget, run_seconds: float = 0.001) -> AxisDiagnosis:
    budget = ExperimentBudget(target, 60.0, run_seconds, lambda purpose: None)
    return AxisDiagnosis(budget, "process", 1, {"process": 0})


def find_cause(target: FakeTarget) -> Finding:
    return make_diagnosis(target).diagnose()


def test_hash_seed() -> None:
    finding = find_cause(FakeTarget(lambda p: p.seed))
    assert (finding.name, finding.location) == ("hash-seed", "/a.py:7")
    assert finding.ruled_out == ("address-order",)


def test_hash_seed_that_changes_nothing_for_two_of_the_seeds() -> None:
    assert find_cause(FakeTarget(lambda p: p.seed in "45")).name == "hash-seed"


@pytest.mark.parametrize(
    "show",
    [
        lambda p: (p.number, p.shifted_heap),
        lambda p: p.shifted_heap,
        lambda p: (p.number, p.fresh_imports and p.shifted_heap),
        # The order of some classes, equal by chance in all interpreters but one.
        lambda p: p.seed == "2" or (p.fresh_imports and p.shifted_heap),
        # The same, equal by chance in two with one hash seed.
        lambda p: p.seed == "2" or (p.number > 2 and not p.fixed_addresses),
        # A large set: the layout of a page does not change its order.
        lambda p: p.fixed_addresses or p.number,
    ],
)
def test_address_order(show: Callable[[Process], object]) -> None:
    finding = find_cause(FakeTarget(show))
    assert (finding.name, finding.location) == ("address-order", "/a.py:7")
    assert "address-order" not in finding.ruled_out


@pytest.mark.parametrize(("digest", "is_started"), [("1", False), ("another", True), (None, True)])
def test_a_run_of_the_verdict_is_a_fourth_layout_if_it_agrees(digest: str | None, is_started: bool) -> None:
    seen = {} if digest is None else {"1": digest}
    target = FakeTarget(lambda p: p.seed)
    target.this_process = ThisProcess(lambda *_: ExperimentResult(0), (), digests_by_hash_seed=seen)
    assert find_cause(target).name == "hash-seed"
    assert {f"hash seed 1, interpreter {number}" for number in (1, 2, 3)} < {*target.used}
    assert ("hash seed 1, interpreter 4" in target.used) is is_started


def test_forks_that_differ_take_one_interpreter_until_a_suspect_explains_it() -> None:
    target = FakeTarget(lambda p: next(NUMBERS))
    assert find_cause(target).name == "process"
    assert {*target.used} == {
        "hash seed 1, interpreter 1", "hash seed 1, interpreter 2", "hash seed 1, libraries imported",
    }  # fmt: skip


def test_result_that_differs_in_each_process_is_not_address_order() -> None:
    results = iter(range(100))
    finding = find_cause(FakeTarget(lambda p: next(results) if p.fresh_imports else p.number))
    assert finding.name == "process"
    assert {"hash-seed", "address-order"} <= set(finding.ruled_out)
    assert "shared-state" not in finding.ruled_out  # not tried


def test_the_process_is_blamed_if_it_differs_with_the_same_addresses() -> None:
    finding = find_cause(FakeTarget(lambda p: p.number))
    assert (finding.name, finding.ruled_out) == ("process", ("hash-seed", "address-order"))


@pytest.mark.parametrize("is_random", [lambda p: p.fresh_imports, lambda p: p.fixed_addresses])
def test_addresses_that_cannot_be_held_are_not_ruled_out(is_random: Callable[[Process], bool]) -> None:
    """Forks that import the program differ, or fixed interpreters do, and so do their addresses."""
    target = FakeTarget(lambda p: next(NUMBERS) if is_random(p) else p.number)
    target.lay_out = lambda p: next(NUMBERS)
    finding = find_cause(target)
    assert (finding.name, finding.location, finding.ruled_out) == ("unknown", "/a.py:7", ())
    assert finding.explanation.startswith("fresh processes with the same hash seed differ, and the")
    assert finding.fix.startswith("sort what comes out of sets by a name or a number; look for")


def test_hash_seed_is_a_second_cause_and_not_ruled_out() -> None:
    def show(process: Process) -> object:
        return process.seed, "clock" not in process.suspended and next(NUMBERS)

    clock = ExternalCall("time.time()", "clock", "/a.py:3")
    diagnosis = make_diagnosis(FakeTarget(show, (clock,)))
    causes = [diagnosis.diagnose(), *diagnosis.further]
    assert [(each.name, each.location) for each in causes] == [("clock", "/a.py:3"), ("hash-seed", "/a.py:7")]
    assert "hash-seed" not in causes[0].ruled_out
    assert causes[1].explanation.count("one with another differs; this is so while clock is suspended")


def _count_causes(show_in: Callable[[Random], Callable[[Process], object]]) -> Counter[str]:
    calls = tuple(ExternalCall(f"{cause}()", cause, "/a.py:3") for cause in ("clock", "os-entropy"))
    found = Counter[str]()
    for seed in range(100):
        target = FakeTarget(show_in(Random(seed)), calls)
        target.lay_out = lambda p: next(NUMBERS)
        found[find_cause(target).name] += 1
    return found


def test_a_coin_of_each_process_is_no_other_cause() -> None:
    """Such as the last bit of its number: runs agree by chance, whatever is suspended."""
    found = _count_causes(lambda draw: lambda process: draw.randrange(2))
    assert found["unknown"] + found["process"] >= 95


def test_an_order_of_two_by_address_is_no_other_cause() -> None:
    """Two classes in a set: interpreters with one hash seed agree by chance, and with another differ."""

    def show_in(draw: Random) -> Callable[[Process], object]:
        orders: dict[object, int] = {}

        def show(process: Process) -> object:
            if process.fresh_imports and process.shifted_heap:
                return draw.randrange(2)
            return orders.setdefault(process._replace(suspended=(), earlier_runs=0), draw.randrange(2))

        return show

    found = _count_causes(show_in)
    assert found["address-order"] + found["unknown"] >= 98
    assert found["address-order"] >= 80


def test_uninitialised_memory_is_not_address_order() -> None:
    def show(process: Process) -> object:
        return "uninitialised-memory" not in process.suspended and (process.number, process.shifted_heap)

    finding = find_cause(FakeTarget(show, (EMPTY,)))
    assert (finding.name, finding.location) == ("uninitialised-memory", "/a.py:5")


LIMIT = "the time limit of 60 s was reached (repro_diagnose_seconds)"


def test_an_axis_that_is_not_explained_in_time_is_still_the_cause() -> None:
    def fail(process: Process) -> object:
        raise OutOfTime(LIMIT)

    finding = find_cause(FakeTarget(fail))
    assert (finding.name, finding.ruled_out) == ("process", ())
    assert finding.explanation == (
        "runs agree at each value, and differ between this process and process 1; nothing was tested; "
        f"the diagnosis ended early, before it established why: {LIMIT}"
    )
    assert finding.fix == (
        "look for the order of a set of strings, hash() of a string, an order by id() or by the default "
        "hash; for a full diagnosis, give it more time: pytest -o repro_diagnose_seconds=240"
    )


def test_what_was_seen_is_named_though_time_ran_out() -> None:
    for show, experiments, seen, where in (
        (lambda p: p.seed, 2, "same hash seed agreed;", "a set of strings"),
        (lambda p: p.seed, 3, "one with another hash seed differed;", "a set of strings"),
        (lambda p: 0, 3, "agreed, and so did one with another;", "earlier tests leave behind"),
        (lambda p: (p.seed, p.number), 3, "with the same hash seed differed;", "os.getpid()"),
        (lambda p: next(NUMBERS), 3, "copies of one fresh process differed;", "the clock"),
    ):
        target = FakeTarget(_limit(show, experiments))
        finding = make_diagnosis(target, run_seconds=1.0).diagnose()
        assert finding.name == "process"
        assert seen in finding.explanation
        assert where in finding.fix


def _limit(show: Callable[[Process], object], experiments: int) -> Callable[[Process], object]:
    """*show*, with time for so many experiments of two runs."""
    runs = iter(range(2 * experiments))

    def show_in_time(process: Process) -> object:
        if next(runs, None) is None:
            raise OutOfTime(LIMIT)
        return show(process)

    return show_in_time


def test_another_failure_than_too_little_time_suggests_no_more_of_it() -> None:
    def fail(process: Process) -> object:
        raise ExperimentFailed("the companion has died")

    finding = find_cause(FakeTarget(fail))
    assert finding.explanation.endswith(
        "nothing was tested; why could not be established: the companion has died"
    )
    assert "repro_diagnose_seconds" not in finding.fix


GREW = Change("a.CACHE", "grew from 0 to 1 items", "/a.py:1")


def test_shared_state_of_the_session_takes_a_change_that_makes_a_difference() -> None:
    assert find_cause(FakeTarget(lambda p: p.earlier_runs, changes=(GREW,))).location == "/a.py:1"
    for target in (FakeTarget(lambda p: p.earlier_runs), FakeTarget(lambda p: 0, changes=(GREW,))):
        finding = find_cause(target)
        assert finding.name == "unknown"
        assert "only the interpreter of the session" in finding.explanation
