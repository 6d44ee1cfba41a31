"""The diagnosis of a difference between interpreters, on simulated programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest

from pytest_repro.axes import Interpreter
from pytest_repro.core.diagnose.experiment import Experiment, ExperimentResult
from pytest_repro.core.diagnose.external_call import ExternalCall
from pytest_repro.core.diagnose.finding import Change, Finding
from pytest_repro.core.trace.line_steps import LineStep
from pytest_repro.engine.diagnose.axis_difference import diagnose_axis
from pytest_repro.engine.diagnose.budgeted_experiments import ExperimentBudget

EMPTY = ExternalCall("torch.empty()", "uninitialised-memory", "/a.py:5")


class Place(NamedTuple):
    """Where a run happens."""

    seed: str
    number: int
    bare: bool
    stirred: bool
    held: tuple[str, ...]
    run: int


@dataclass
class Played:
    """A program: its result at a place; *run* counts the runs of one process."""

    shows: Callable[[Place], object]
    calls: tuple[ExternalCall, ...] = ()
    changed: tuple[Change, ...] = ()
    fresh_processes: bool = True
    asked: list[Experiment] = field(default_factory=list)

    def start_interpreters(self, interpreters: Sequence[Interpreter], seconds: float) -> None:
        """Starts nothing."""

    def run_experiment(
        self, experiment: Experiment, interpreter: Interpreter | None, seconds: float, left: float
    ) -> ExperimentResult:
        assert interpreter is not None
        self.asked.append(experiment)
        number = 0 if interpreter.imports_per_run else int(interpreter.name.rpartition(" ")[2])
        seed, bare = interpreter.environ["PYTHONHASHSEED"], interpreter.imports_per_run
        shown = [
            self.shows(
                Place(seed, number, bare, experiment.shift_heap, experiment.suspended, 0 if apart else n)
            )
            for n, apart in enumerate([experiment.fresh_forks] * len(experiment.cells))
        ]
        differing = tuple(n for n, each in enumerate(shown) if each != shown[0])
        steps = (LineStep("/a.py:7", (("order", str(shown[0])),)),)
        return ExperimentResult(
            len(shown), differing, str(shown[0]), self.calls, self.changed,
            steps=(steps,) if experiment.trace_lines else (), outcomes=("passed",),
        )  # fmt: skip


def found(subject: Played) -> Finding:
    return diagnose_axis(
        ExperimentBudget(subject, 60.0, 0.001, lambda doing: None), "process", 1, {"process": 0}
    )[1]


def test_difference_by_hash_seed() -> None:
    finding = found(Played(lambda at: at.seed))
    assert (finding.name, finding.location) == ("hash-seed", "/a.py:7")
    assert finding.ruled_out == ("address-order",)


def test_two_names_in_the_same_order_for_two_hash_seeds() -> None:
    assert found(Played(lambda at: at.seed in "45")).name == "hash-seed"


@pytest.mark.parametrize(
    "shows",
    [
        lambda at: (at.number, at.stirred),
        lambda at: at.stirred,
        lambda at: (at.number, at.bare and at.stirred),
        # The order of some classes, in which all interpreters agree by chance but one.
        lambda at: at.seed == "2" or (at.bare and at.stirred),
    ],
)
def test_difference_by_addresses(shows: Callable[[Place], object]) -> None:
    finding = found(Played(shows))
    assert (finding.name, finding.location) == ("address-order", "/a.py:7")


def test_difference_by_process_is_not_address_order() -> None:
    lives = iter(range(100))
    finding = found(Played(lambda at: next(lives) if at.bare else at.number))
    assert finding.name == "process"
    assert {"hash-seed", "address-order"} <= set(finding.ruled_out)
    assert "shared-state" not in finding.ruled_out  # nobody has tried it


def test_uninitialised_memory_is_not_address_order() -> None:
    def shows(at: Place) -> object:
        return "uninitialised-memory" not in at.held and (at.number, at.stirred)

    finding = found(Played(shows, (EMPTY,)))
    assert (finding.name, finding.location) == ("uninitialised-memory", "/a.py:5")


GREW = Change("a.CACHE", "grew from 0 to 1 items", "/a.py:1")


def test_session_difference_is_shared_state_only_with_a_named_change() -> None:
    assert found(Played(lambda at: at.run, changed=(GREW,))).location == "/a.py:1"
    for subject in (Played(lambda at: at.run), Played(lambda at: 0, changed=(GREW,))):
        finding = found(subject)
        assert finding.name == "unknown"
        assert "only the interpreter of the session" in finding.explanation
