"""Diagnoses of what interpreters draw while they import a program, with simulated programs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from random import Random

import pytest

from pytest_repro.axes import Interpreter
from pytest_repro.core.diagnose import Experiment, ExperimentResult, ExternalCall
from pytest_repro.engine.diagnose import OutOfTime
from tests.engine.diagnose.test_axis_difference import FakeTarget, Process, find_cause, make_diagnosis

NOISE = ExternalCall("numpy.random.default_rng()", "os-entropy", "/a.py:4")
CLOCK = ExternalCall("time.time()", "clock", "/a.py:3")
DRAW = ExternalCall("the global generator of torch", "os-entropy", "/a.py:5")


class Draws:
    """A program that draws from a source of each of *suspects* at each import, unless that is suspended."""

    def __init__(self, *suspects: str, values: int = 10**9) -> None:
        self._suspects, self._draw, self._values = suspects, Random(3), values

    def __call__(self, process: Process) -> object:
        if not process.fresh_imports:
            return f"drawn once by interpreter {process.seed} {process.number}"
        return [
            self._draw.randrange(self._values) for each in self._suspects if each not in process.suspended
        ]


def test_entropy_drawn_at_import() -> None:
    finding = find_cause(FakeTarget(Draws("os-entropy"), (NOISE,)))
    assert (finding.name, finding.location, finding.ruled_out) == ("os-entropy", "/a.py:4", ())
    assert finding.explanation == (
        "numpy.random.default_rng() draws its seed from the operating system; "
        "drawn when the module was imported, before anything was seeded"
    )
    assert finding.fix == "make it in a fixture, or from a generator with a seed"


def test_global_generator_drawn_from_at_import() -> None:
    finding = find_cause(FakeTarget(Draws("os-entropy"), (DRAW,)))
    assert finding.explanation.startswith("the global generator of torch has a random state; drawn when")


def test_coin_tossed_at_import() -> None:
    assert find_cause(FakeTarget(Draws("os-entropy", values=2), (NOISE,))).name == "os-entropy"


def test_clock_read_at_import() -> None:
    finding = find_cause(FakeTarget(Draws("clock"), (NOISE, CLOCK)))
    assert (finding.name, finding.location) == ("clock", "/a.py:3")
    assert finding.explanation.endswith("; called when the module was imported")


def test_clock_and_entropy_at_import() -> None:
    diagnosis = make_diagnosis(FakeTarget(Draws("clock", "os-entropy"), (NOISE, CLOCK)))
    causes = [diagnosis.diagnose(), *diagnosis.further]
    assert {cause.name for cause in causes} == {"clock", "os-entropy"}
    assert all("when the module was imported" in cause.explanation for cause in causes)


@pytest.mark.parametrize("after", range(3, 6))
def test_no_cause_is_named_when_time_runs_out(after: int) -> None:
    numbers = count()

    class Hurried(FakeTarget):
        def run_experiment(
            self, experiment: Experiment, interpreter: Interpreter | None, seconds: float, seconds_left: float
        ) -> ExperimentResult:
            if next(numbers) >= after:
                raise OutOfTime("the time limit was reached")
            return super().run_experiment(experiment, interpreter, seconds, seconds_left)

        def start_interpreters(self, interpreters: Sequence[Interpreter], seconds: float) -> None:
            assert len({each.name for each in interpreters}) == 2

    finding = find_cause(Hurried(Draws("os-entropy"), (NOISE,)))
    assert (finding.name, finding.seen[0]) == ("process", "numpy.random.default_rng() at /a.py:4")
