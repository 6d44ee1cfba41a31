"""Several causes at work: each is found, in the order in which they act, and nothing else is blamed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.axes import Interpreter
from pytest_repro.core.diagnose import Experiment, ExperimentResult, ExternalCall
from pytest_repro.core.trace.divergence import LineStep
from pytest_repro.core.trace.trace import Op, Trace
from tests.engine.diagnose.test_diagnose import CLOCK, GREW, NOISE, FakeTarget, diagnose

SUSPECTS = ("clock", "completion-order", "file-order", "os-entropy")
SOME_LINES = st.lists(st.integers(0, 7), min_size=2, max_size=4, unique=True)


@dataclass
class World(FakeTarget):
    """A program of some lines: each computes a value, which differs while the cause at work there acts."""

    causes: Mapping[int, str] = field(default_factory=dict)  # line → cause
    rates: Mapping[str, float] = field(default_factory=dict)  # cause → share of runs that differ
    shown: list[tuple[object, ...]] = field(default_factory=list)

    def run_line(self, line: int, number: int, earlier: int, suspended: frozenset[str]) -> object:
        cause = self.causes.get(line)
        if cause is None or cause in suspended:
            return 0
        acts = Random(f"{number} {cause}").random() < self.rates.get(cause, 1.0)
        return earlier if cause == "shared-state" else number + 1 if acts else 0

    def show_lines(self, number: int, earlier: int, suspended: frozenset[str]) -> object:
        self.shown.append(tuple(self.run_line(n, number, earlier, suspended) for n in range(8)))
        return self.shown[-1]

    def run_experiment(
        self, experiment: Experiment, interpreter: Interpreter | None, seconds: float, seconds_left: float
    ) -> ExperimentResult:
        self.show = self.show_lines
        result = super().run_experiment(experiment, interpreter, seconds, seconds_left)
        ends = self.shown[-result.run_count], self.shown[-1]
        traces = tuple(map(trace_lines, ends)) if experiment.trace_ops else ()
        steps = tuple(map(step_lines, ends)) if experiment.trace_lines else ()
        return replace(result, traces=traces, steps=steps)


def trace_lines(values: Sequence[object]) -> Trace:
    digests = [f"{hash(str(value)) & 0xFFFFFFFF:016x}" for value in values]
    return Trace.from_ops(
        [Op(f"record x{n}", (digest,), (digest,), f"/a.py:{n}") for n, digest in enumerate(digests)]
    )


def step_lines(values: Sequence[object]) -> tuple[LineStep, ...]:
    return tuple(LineStep(f"/a.py:{n}", ((f"x{n}", str(value)),)) for n, value in enumerate(values))


def make_world(causes: Mapping[int, str], **rates: float) -> World:
    calls = tuple(ExternalCall("f()", cause, f"/a.py:{n}") for n, cause in sorted(causes.items()))
    world = World(lambda *run: 0, calls=calls, causes=causes, rates=rates)
    return replace(world, changes=(GREW,) if "shared-state" in causes.values() else ())


@given(st.permutations((*SUSPECTS, "shared-state")), SOME_LINES)
def test_causes_are_complete_and_in_order(names: list[str], lines: list[int]) -> None:
    causes = dict(zip(sorted(lines), names))
    found = diagnose(make_world(causes)).causes
    assert [cause.name for cause in found] == list(causes.values())
    for cause, line in zip(found, causes):
        assert cause.location == (GREW.location if cause.name == "shared-state" else f"/a.py:{line}")
        assert "runs differ while only this cause acts" in cause.explanation
        assert set(SUSPECTS) - set(causes.values()) <= set(cause.ruled_out)
        assert not set(cause.ruled_out) & set(causes.values())


@given(st.permutations(SUSPECTS), SOME_LINES, st.data())
def test_causes_before_one_that_is_out_of_reach(
    names: list[str], lines: list[int], data: st.DataObject
) -> None:
    """Established is only what makes the first divergence; then nothing is ruled out."""
    causes = dict(zip(sorted(lines), names))
    unknown = data.draw(st.sampled_from(sorted(causes)))
    causes[unknown] = "compiled"
    found = diagnose(make_world(causes)).causes
    known = list(causes.values())[: list(causes).index(unknown)]
    assert [cause.name for cause in found] == [*known, "unknown"]
    assert all(cause.ruled_out == () for cause in found)
    for cause in found[:-1]:
        assert cause.explanation.endswith("; without it runs agree there, and diverge later")
    if known:
        assert found[-1].explanation.startswith(
            f"with {', '.join(known)} suspended, runs diverge later; 5 of "
        )


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5, 0.9])
def test_a_rare_cause_behind_another_blames_no_innocent_one(rate: float) -> None:
    for line in (0, 7):
        world = make_world({3: "clock", line: "completion-order"}, **{"completion-order": rate})
        found = diagnose(world).causes
        assert {cause.name for cause in found} <= {"clock", "completion-order", "unknown"}
        assert not {"clock", "completion-order"} & set(found[0].ruled_out) or len(found) == 1


class BrokenByClock(World):
    """A program that fails while the clock is suspended."""

    def show_lines(self, number: int, earlier: int, suspended: frozenset[str]) -> object:
        super().show_lines(number, earlier, suspended)
        if "clock" in suspended:
            self.shown[-1] = ("failed",)
        return "failed" if "clock" in suspended else self.shown[-1]


def test_a_suspect_without_which_the_test_fails_is_left_out() -> None:
    causes = {1: "os-entropy", 2: "file-order"}
    world = BrokenByClock(lambda *run: 0, calls=(NOISE, CLOCK), causes=causes)
    assert [cause.name for cause in diagnose(world).causes] == ["os-entropy", "file-order"]
