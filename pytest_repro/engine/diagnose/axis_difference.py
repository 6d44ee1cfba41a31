"""Diagnoses a difference between two values of an axis, each of which repeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from pytest_repro.axes import Interpreter, get_axis
from pytest_repro.core.diagnose import Evidence, Experiment, ExperimentResult, ExternalCall, Finding
from pytest_repro.core.plan.plan import REPEAT, Cell
from pytest_repro.core.trace.divergence import Divergence
from pytest_repro.engine.diagnose import ExperimentBudget, ExperimentFailed, OutOfTime
from pytest_repro.engine.diagnose.findings import build_finding, describe_suspension, locate
from pytest_repro.engine.diagnose.minimize import bisect_lines
from pytest_repro.engine.diagnose.process.fresh_processes import compare_ops
from pytest_repro.engine.diagnose.process.process_difference import ProcessDiagnosis
from pytest_repro.engine.diagnose.process.progress import Progress, describe_progress

_MORE_TIME = 4.0
"""The time that is suggested for a diagnosis that has taken too long, as a multiple of its limit."""


class AxisDiagnosis:
    """Why *value* of *axis* differs from the reference, whose *setting* is axis → value.

    Args:
        outcome: That of the reference.

    Attributes:
        divergence: The first op that diverged.
    """

    divergence: Divergence | None = None
    further: tuple[Finding, ...] = ()

    def __init__(
        self,
        budget: ExperimentBudget,
        axis: str,
        value: object,
        setting: Mapping[str, object],
        outcome: str = "passed",
    ) -> None:
        self._budget, self._axis, self._value = budget, get_axis(axis), value
        self._outcome, self._seen = outcome, tuple[str, ...]()
        self._progress: Progress | None = None
        self._reference = Cell(REPEAT, 0, setting)
        self._cell = Cell(axis, value, {**setting, axis: value})

    def diagnose(self) -> Finding:
        try:
            return self._find_cause()
        except ExperimentFailed as error:
            return locate(self._conclude_without_cause(error), self.divergence)

    def _conclude_without_cause(self, error: ExperimentFailed) -> Finding:
        """The axis, for an experiment that failed with *error* before others could say more."""
        axis, reference = self._axis, self._reference.setting[self._axis.name]
        between = f"{axis.format_value(reference)} and {axis.format_value(self._value)}"
        texts, fixes = [f"runs agree at each value, and differ between {between}"], [axis.cause_fix]
        if self._progress is not None:
            texts.append(self._progress.seen)
            fixes = [f"look for {self._progress.look_for}"]
        if isinstance(error, OutOfTime):
            texts.append(f"the diagnosis ended early, before it established why: {error}")
            more = f"repro_diagnose_seconds={_MORE_TIME * self._budget.seconds:g}"
            fixes.append(f"for a full diagnosis, give it more time: pytest -o {more}")
        else:
            texts.append(f"why could not be established: {error}")
        return Finding(axis.name, "", "; ".join(texts), "; ".join(fixes), seen=self._seen)

    def _find_cause(self) -> Finding:
        if self._axis.differs_by_process_only:
            processes = ProcessDiagnosis(self._budget, self._cell, self._build_axis_finding(), self._outcome)
            try:
                return processes.find_cause()
            finally:
                self.divergence, self.further = processes.divergence, processes.further
                self._seen, self._progress = processes.list_calls(), describe_progress(processes.results)
        self._budget.runs_here = not self._axis.remote and self._budget.this_process is not None
        reference = self._run_cell(self._reference, None)
        interpreter = self._axis.build_interpreter(self._value) if self._axis.remote else None
        self.divergence = compare_ops(reference, self._run_cell(self._cell, interpreter))
        if self._axis.cause_name:
            calls = self._narrow_calls(Evidence(reference.calls))
            return build_finding(self._axis.cause_name, Evidence(calls, self.divergence))
        return locate(self._build_axis_finding(), self.divergence)

    def _narrow_calls(self, evidence: Evidence) -> tuple[ExternalCall, ...]:
        """The calls that make the values differ, on lines whose calls alone do; none if that is not known.

        A library may also call such a function and treat its result alike at all values.
        """
        name = self._axis.cause_name
        cells = (self._reference, self._cell)

        def differs(lines: Sequence[str]) -> bool:
            experiment = Experiment(cells, (name,), passthrough_sites=tuple(lines), until_differing=True)
            purpose = f"{describe_suspension(name)} except at {len(lines)} lines"
            return not self._budget.run_experiment(experiment, purpose).equal

        calls = evidence.calls_for(name)
        with suppress(ExperimentFailed):
            if calls and not self._axis.remote and not differs(()):
                lines = bisect_lines(list(dict.fromkeys(call.location for call in calls)), differs)
                found = [line for line in lines if differs([line])]
                return tuple(call for call in calls if call.location in found)
        return ()

    def _build_axis_finding(self) -> Finding:
        reference = self._reference.setting[self._axis.name]
        explanation = self._axis.explain_difference(reference, self._value)
        return Finding(self._axis.name, "", explanation, self._axis.cause_fix)

    def _run_cell(self, cell: Cell, interpreter: Interpreter | None) -> ExperimentResult:
        experiment = Experiment((cell,), trace_ops=self._axis.comparable_ops, log_calls=True)
        purpose = f"run with {self._axis.format_value(cell.setting[self._axis.name])}"
        return self._budget.run_experiment(experiment, purpose, interpreter)
