"""Whether the addresses of objects make processes differ: of what a run creates, or of what is imported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_repro.axes import Interpreter
from pytest_repro.causes import get_cause, list_cause_names
from pytest_repro.core.diagnose import Evidence, Experiment, ExperimentResult
from pytest_repro.core.plan.plan import Cell
from pytest_repro.core.trace.divergence import LineStep
from pytest_repro.engine.diagnose import ExperimentBudget
from pytest_repro.engine.diagnose.process.fresh_processes import IMPORTS

SHIFTED_NOTE = "an interpreter with the same hash seed differs once its memory has another layout"
FIXED_NOTE = (
    "interpreters with the same hash seed differ, and agree once the system gives them the same addresses"
)

BARE = Interpreter(
    environ={"PYTHONHASHSEED": "1"}, name="hash seed 1, nothing imported", imports_per_run=True
)
"""Each run is in a fork that imports everything."""

_FIXED = [
    Interpreter(
        environ={"PYTHONHASHSEED": "1"}, name=f"hash seed 1, fixed addresses, {n}", fixed_addresses=True
    )
    for n in (1, 2, 3)
]


def list_layout_dependent(evidence: Evidence) -> tuple[str, ...]:
    """The causes with calls in *evidence* that also depend on the memory layout."""
    names = (name for name in list_cause_names() if get_cause(name).depends_on_layout)
    return tuple(name for name in names if evidence.calls_for(name))


def are_addresses_random() -> bool:
    """Whether each interpreter has its libraries at other addresses, as Linux has by default."""
    try:
        return Path("/proc/sys/kernel/randomize_va_space").read_text().strip() != "0"
    except OSError:
        return True


class LayoutDiagnosis:
    """Whether runs of *cell* differ by the addresses of objects alone.

    Args:
        suspensions: Other causes that depend on the memory layout: they do not act in these runs.

    Attributes:
        note: What was seen, if they do.
        is_excluded: Whether objects had the same addresses in processes that differ.
        differs_in_one_layout: Whether forks whose memory was not shifted differ.
    """

    note, is_excluded, differs_in_one_layout = "", False, False

    def __init__(self, budget: ExperimentBudget, cell: Cell, suspensions: tuple[str, ...]) -> None:
        self._budget, self._cell, self.suspensions = budget, cell, suspensions

    def differs_when_shifted(self, interpreter: Interpreter = BARE, runs: int = 3) -> bool:
        """Whether, of forks of one moment, those with another memory layout differ, and only those."""
        result = self._run(interpreter, runs, shift_heap=True)
        plain, shifted = set(result.digests[::2]), set(result.digests[1::2])
        self.differs_in_one_layout = len(plain) > 1
        return self.note_shifted(len(plain) == 1 and not shifted <= plain)

    def note_shifted(self, differs: bool) -> bool:
        """Notes whether, of forks of one moment, those with another memory layout differ, and only those."""
        self.note = SHIFTED_NOTE if differs else ""
        return differs

    def differs_with_moved_libraries(self) -> bool:
        """Whether, of forks that import everything, those with another memory layout differ.

        Other interpreters show that for less, where each has its libraries at other addresses.
        """
        return not are_addresses_random() and self.differs_when_shifted(BARE, 5)

    def agrees_with_fixed_addresses(self) -> bool:
        """Whether interpreters agree once their addresses are not random, which otherwise differ.

        Other threads of an interpreter also allocate, so its addresses may differ all the same: two of
        three must have the same, or all three must agree.
        """
        self._budget.start_interpreters(_FIXED)
        results: list[ExperimentResult] = []
        for interpreter in _FIXED:
            results.append(self._run(interpreter, 1, digest_layout=True))
            if not results[-1].layouts:  # the body was not reached
                return False
            pairs = {(result.layouts, result.digests) for result in results}
            layouts = {layout for layout, _ in pairs}
            self.is_excluded = len(layouts) < len(pairs)
            if self.is_excluded:
                return False
        if len(layouts) < len(results) or len({result.digests for result in results}) == 1:
            self.note = FIXED_NOTE
        return self.note != ""

    def trace_lines(self, interpreter: Interpreter = IMPORTS) -> Sequence[Sequence[LineStep]]:
        """The lines of two forks of one moment, the second with another memory layout."""
        return self._run(interpreter, 2, shift_heap=True, trace_lines=True).steps

    def _run(self, interpreter: Interpreter, runs: int, **flags: Any) -> ExperimentResult:
        experiment = Experiment((self._cell,) * runs, self.suspensions, fresh_forks=True, **flags)
        shifted = "run with another memory layout" if experiment.shift_heap else "run with fixed addresses"
        return self._budget.run_experiment(experiment, shifted, interpreter)
