"""Where a test is run for an experiment: one run after the other, with some suspects suspended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from time import perf_counter
from typing import Protocol, TypeVar

from pytest_repro.causes import all_targets
from pytest_repro.causes._not_suspended import gathered
from pytest_repro.core.diagnose.experiment import Experiment, Tried
from pytest_repro.core.diagnose.external_call import Call
from pytest_repro.core.diagnose.finding import Change, Root
from pytest_repro.core.plan.cell import Cell
from pytest_repro.core.runs.observation import Observation, Stored
from pytest_repro.core.runs.run import Run
from pytest_repro.core.trace.line_steps import Step
from pytest_repro.core.trace.trace import Trace
from pytest_repro.engine.experiments.line_trace import stepping
from pytest_repro.engine.experiments.memory_layout import stirred
from pytest_repro.engine.experiments.process_state import Entered, Facts, facts
from pytest_repro.engine.experiments.state_diff import changes
from pytest_repro.engine.experiments.state_restore import Keeping
from pytest_repro.engine.runs.recording import Recorded
from pytest_repro.engine.runs.trial import Trial
from pytest_repro.interpose.call_log import listening
from pytest_repro.interpose.passthrough import spared
from pytest_repro.traces import trace
from pytest_repro.values.hashing import digest

T = TypeVar("T")

_CHANGES = 20
"""Changes that are told of one experiment."""


class Stage(Protocol):
    """Who can run a test once more."""

    trial: Trial

    def once(self, cell: Cell, number: int, entered: Entered) -> tuple[Run, Recorded]:
        """Makes one run; *entered* is called when its body is about to begin."""

    def roots(self) -> Mapping[str, Root]:
        """What belongs to the test and outlives a run, by name: fixtures, parameters."""


def perform(stage: Stage, experiment: Experiment) -> Tried:
    """Makes the runs of *experiment*, and compares them as its plan asks."""
    with ExitStack() as stack:
        stack.enter_context(stirred() if experiment.stirred else stirred(0))
        stack.enter_context(spared(experiment.spared))
        loose = stack.enter_context(gathered())
        tried = _Performance(stage, experiment).tried()
        return replace(tried, loose=tuple(loose.items()))


class _Performance:
    """The runs of one experiment."""

    def __init__(self, stage: Stage, experiment: Experiment) -> None:
        self._stage, self._asked = stage, experiment
        self._calls: list[Call] = []
        self._entries: list[Facts] = []
        self._traces: list[Trace] = []
        self._steps: list[list[Step]] = []
        self._shown, self._kept = "", Keeping(experiment.restored)

    def tried(self) -> Tried:
        start, number = perf_counter(), 0
        for number, cell in enumerate(self._asked.cells):
            self._run(cell, number)
            if (self._asked.traced or self._asked.lined) and self._differing():
                break
        return Tried(
            number + 1, self._differing(), self._shown, tuple(self._calls), self._changes(),
            _ends(self._traces), tuple(map(tuple, _ends(self._steps))), perf_counter() - start, self._ended(),
            restored=self._kept.restored(),
        )  # fmt: skip

    def _run(self, cell: Cell, number: int) -> None:
        if self._asked.restored:
            self._kept.put_back() if number else self._kept.modules()
        with ExitStack() as stack:
            if self._asked.heard and number == 0:
                ledger = stack.enter_context(listening(all_targets()))
                stack.callback(lambda: self._calls.extend(ledger.calls))
            if self._asked.traced:
                self._traces.append(stack.enter_context(trace(thorough=True)))
            if self._asked.lined:
                self._steps.append(stack.enter_context(stepping()))
            run, recorded = self._stage.once(cell, number, self._entered)
        if not number:
            self._shown = shown(run, recorded)
        self._stage.trial.add(run, recorded)

    def _entered(self) -> None:
        if self._asked.restored and not self._stage.trial.runs:
            self._kept.roots(self._stage.roots())
        if self._asked.watched and len(self._entries) < 2:
            self._roots = self._stage.roots()
            self._entries.append(facts(self._roots))

    def _changes(self) -> tuple[Change, ...]:
        if len(self._entries) < 2:
            return ()
        return tuple(changes(self._entries[0], self._entries[1], self._roots))[:_CHANGES]

    def _ended(self) -> tuple[str, ...]:
        runs = self._stage.trial.runs
        return tuple(dict.fromkeys(f"{run.outcome} {run.error_type}".strip() for run in runs))

    def _differing(self) -> tuple[int, ...]:
        return differing(self._stage.trial)


def _ends(each: Sequence[T]) -> tuple[T, ...]:
    """The first and the last, if there are two."""
    return (each[0], each[-1]) if len(each) > 1 else tuple(each)


def differing(trial: Trial) -> tuple[int, ...]:
    """Numbers of the runs that differ from the first, as the plan asks."""
    found = trial.verdict().mismatches
    bad = {(each.axis, each.value) for each in found}
    return tuple(n for n, run in enumerate(trial.runs) if (run.axis, run.value) in bad)


def shown(run: Run, recorded: Recorded) -> str:
    """A digest of what a run has shown, which another process can give as well."""
    rows = [f"{run.outcome} {run.error_type}", *map(_row, recorded.observations().values())]
    return digest("shown", [memoryview("\n".join(rows).encode("utf-8", "surrogatepass"))])


def _row(each: Observation) -> str:
    content = each.content.digest if isinstance(each.content, Stored) else each.content.hex()
    return f"{each.key} {each.kind} {content}"
