"""The runs of one test under one plan, and the verdict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from pytest_repro.core.compare.mismatch import count_steps
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.plan.plan import REPEAT, Cell, Plan, iter_other_cells, make_reference_cell
from pytest_repro.core.runs.observation import format_key
from pytest_repro.core.runs.run import Run, RunSpec
from pytest_repro.engine.runs.availability import (
    find_fixed_unavailable,
    find_unavailable_reason,
    restrict_to_available,
)
from pytest_repro.engine.runs.distance import load_content
from pytest_repro.engine.runs.recording import Recording, RecordingBase
from pytest_repro.engine.runs.verdict import compute_verdict, describe_mismatches
from pytest_repro.values.spill_store import SpillStore

if TYPE_CHECKING:
    from pytest_repro.core.compare.stored_value import StoredValue
    from pytest_repro.engine.runs.remote_run import RemoteRecording, ValueFetcher

KEEP_MB = 512
"""Megabytes of the reference run's values kept in memory; the rest goes to a file."""


class RunResult(NamedTuple):
    """A finished run, and what it recorded."""

    run: Run
    recording: RecordingBase


class Trial:
    """Collects the runs of one test and judges them.

    Args:
        plan: What the test asks for.
        keep_mb: Megabytes (2**20 bytes) of values kept in memory, to measure distances.
        with_plots: Whether a ``diverged`` verdict has plot data.

    Attributes:
        plan: What the test asks for, as far as it is available on this machine.
        unrunnable: Whether an axis has no available value.
        store, finished_runs: Where values are stored; the runs so far.
    """

    def __init__(self, plan: Plan, keep_mb: int = KEEP_MB, with_plots: bool = False) -> None:
        self.plan, self._unreachable_runs, self.unrunnable = restrict_to_available(plan)
        self.store, self.with_plots = SpillStore(keep_mb * 2**20), with_plots
        self.finished_runs, self._missing_runs = list[RunResult](), list[Run]()

    @property
    def run_count(self) -> int:
        """Number of finished runs."""
        return len(self.finished_runs)

    @property
    def runs(self) -> list[Run]:
        """The runs finished so far, the reference run first."""
        return [run for run, _ in self.finished_runs]

    def iter_rehearsals(self) -> Iterator[Cell]:
        """The cells of the rehearsals in this process; requested one at a time.

        The reference comes first. Each other value runs once; if it gives other bits, however close, it
        runs again, which tells a value that differs from one that does not repeat itself.
        """
        if self.plan.runs < 2 or self.unrunnable:
            return
        vary = self.plan.vary
        yield make_reference_cell(vary, 0)
        if vary and (missing := find_fixed_unavailable(self.plan)):
            if restrict_to_available(self.plan).unrunnable:  # the run has imported what tells
                self.reset()
                self.unrunnable = True
            for cell, why in missing:
                self.add_unavailable(cell, why)
            return
        for cell in iter_other_cells(vary, remote=False):
            if why := find_unavailable_reason(self.plan, cell.axis, cell.value):
                self.add_unavailable(cell, why)
                continue
            yield cell
            if self.differs(cell):
                yield cell.as_repeat()
        for number in range(1, self.plan.runs - 1):
            yield make_reference_cell(vary, number)

    @property
    def planned_run_count(self) -> int:
        """Number of runs in this process so far planned: a value that differs runs again."""
        here = [each.axis for each in self.plan.vary if not each.remote]
        cell_count = len([*iter_other_cells(self.plan.vary, remote=False)])
        gone = sum(run.axis in here for run in self._missing_runs)
        again = sum(run.repeat_of is not None and run.repeat_of[0] in here for run in self.runs)
        return self.plan.runs + cell_count - gone + again

    @property
    def last_cell(self) -> Cell:
        """The cell of the last run: one more at the reference."""
        return make_reference_cell(self.plan.vary, self.plan.runs - 1)

    def remote_cells(self) -> Iterator[Cell]:
        """The cells of runs in other interpreters; adds unavailable ones as such."""
        if self.plan.runs < 2 or self.unrunnable:
            return
        for cell in iter_other_cells(self.plan.vary, remote=True):
            if why := find_unavailable_reason(self.plan, cell.axis, cell.value):
                self.add_unavailable(cell, why)
            else:
                yield cell

    def make_spec(self, cell: Cell, number: int, reported: bool = False) -> RunSpec:
        """The run at *cell* as the plan asks for it."""
        return RunSpec(cell, number, self.plan.seed, self.plan.deterministic, reported=reported)

    def new_uncompared_recording(self) -> Recording:
        """An empty recording for an extra run; with a reference, large values are hashed and not stored."""
        tolerance_for = self.plan.tolerance_for()
        return Recording(self.store, tolerance_for, Recording(self.store, tolerance_for))

    def new_recording(self, cell: Cell) -> Recording:
        """An empty recording for a run at *cell*."""
        base = self._find_reference(cell)
        if base is None:
            return Recording(self.store, self.plan.tolerance_for())
        axis, keep = cell.axis, cell.axis != REPEAT
        close, mixed = self.plan.tolerance_for(axis), self.plan.mixes_dtypes(axis)
        return Recording(self.store, close, base[1], keep, mixed, self.with_plots)

    @property
    def reference(self) -> RunResult | None:
        """The run that others are compared with, once it is finished."""
        return self.finished_runs[0] if self.finished_runs else None

    def add_remote(self, cell: Cell, run: Run, recording: RemoteRecording, fetch: ValueFetcher) -> None:
        """Adds a run from a companion, and measures it while its values can be fetched."""
        self.measure_remote(cell, run, recording, fetch)
        self.add(run, recording)

    def measure_remote(self, cell: Cell, run: Run, recording: RemoteRecording, fetch: ValueFetcher) -> None:
        """Measures a run from a companion, or stores its values if others are compared with it."""
        base = self._find_reference(cell)
        if base is not None and run.outcome == base[0].outcome and not recording.equals(base[1]):
            close, mixed = self.plan.tolerance_for(cell.axis), self.plan.mixes_dtypes(cell.axis)
            recording.measure_against(base[1], self.store, close, mixed, fetch)
        if base is None or (self.plan.ranks and cell.axis != REPEAT):
            recording.store_values(self.store, fetch)

    def add(self, run: Run, recording: RecordingBase) -> None:
        """Adds a finished run."""
        if not self.unrunnable:  # a companion still answers
            self.finished_runs.append(RunResult(run, recording))

    def add_unavailable(self, cell: Cell, reason: str) -> None:
        """Adds that nothing ran at *cell*, whose value is unavailable."""
        self._missing_runs = [run for run in self._missing_runs if (run.axis, run.value) != cell[:2]]
        run = Run(cell.axis, cell.value, "skipped", error=reason, setting=cell.setting, state="absent")
        self._missing_runs.append(run)

    def add_lost(self, cell: Cell, reason: str) -> None:
        """Adds that the run at *cell* began in another interpreter, which gave no answer."""
        run = Run(cell.axis, cell.value, "failed", error=reason, setting=cell.setting, state="lost")
        if not self.unrunnable:
            self._missing_runs.append(replace(run, repeat_of=cell.repeat_of))

    def differs(self, cell: Cell) -> bool:
        """Whether the run at *cell* recorded other bits than the run it is compared with."""
        found, base = self._find_first_run(cell[:2]), self._find_reference(cell)
        if found is None or base is None or found[0].outcome != base[0].outcome:
            return False
        return not found[1].equals(base[1])

    def _find_reference(self, cell: Cell | Run) -> RunResult | None:
        """The run that *cell* is compared with: the reference, or for a repeat the first run of its value."""
        if not self.finished_runs:
            return None
        if cell.repeat_of is None:
            return self.finished_runs[0]
        return self._find_first_run(cell.repeat_of)

    def _find_first_run(self, setting: tuple[str, object]) -> RunResult | None:
        return next((each for each in self.finished_runs if (each[0].axis, each[0].value) == setting), None)

    def reset(self) -> None:
        """Drops all runs so far: they do not count."""
        self.close()
        self.store = SpillStore(self.store.budget)
        self.finished_runs, self._missing_runs = [], []

    def compute_verdict(self, *last: tuple[Run, RecordingBase]) -> Verdict:
        """The verdict on the runs so far and on *last*, which is not kept."""
        done = [*self.finished_runs, *(RunResult(*each) for each in last)]
        # Repeats at the reference come first.
        done[1:] = sorted(done[1:], key=lambda each: each[0].axis != REPEAT or each[0].repeat_of is not None)
        runs = (*(run for run, _ in done), *self._unreachable_runs, *self._missing_runs)
        if not done:
            return Verdict("failed" if any(r.state == "lost" for r in runs) else "skipped", self.plan, runs)
        verdict = compute_verdict(self.plan, runs, done, self._find_reference)
        if not verdict.mismatches:
            return verdict
        return describe_mismatches(verdict, done, self._find_reference, self.store, self.with_plots)

    def iter_stored_values(self) -> Iterator[StoredValue]:
        """Values of the reference run for a report, in its order; before :meth:`close`."""
        from pytest_repro.values.value_summary import summarize_value

        observed = self.finished_runs[0][1].observations() if self.finished_runs else {}
        lengths = count_steps(observed)
        for key, found in observed.items():
            name = format_key(key, lengths[key[0]] > 1)
            yield summarize_value(name, found, load_content(found.content, self.store))

    def close(self) -> None:
        self.store.close()
