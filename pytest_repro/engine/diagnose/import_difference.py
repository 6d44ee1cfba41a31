"""Whether processes differ because of what they draw while they import the program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pytest_repro.axes import Interpreter
from pytest_repro.causes import get_cause
from pytest_repro.causes.os_entropy import IMPORT_FIX, IMPORT_NOTE
from pytest_repro.core.diagnose import Evidence, Experiment, ExperimentResult, Finding
from pytest_repro.core.plan.plan import Cell
from pytest_repro.engine.diagnose import ExperimentBudget, compute_required_runs
from pytest_repro.engine.diagnose.findings import (
    build_finding,
    describe_suspension,
    get_cause_name,
    rank_suspects,
)
from pytest_repro.engine.diagnose.minimize import minimize, minimize_calls

OS_ENTROPY = "os-entropy"

IMPORTS = Interpreter(
    environ={"PYTHONHASHSEED": "1"},
    name="hash seed 1, libraries imported",
    imports_per_run=True,
    imports_libraries=True,
)
"""Each run is in a fork that imports the program: equal addresses, equal hash seeds."""

_PLAIN_RUNS = 4
"""A module that tosses a coin is taken for one that draws nothing in one of eight cases; each takes 0.3 s."""


class ImportDiagnosis:
    """Runs *cell* in forks of one process, each of which imports the program."""

    def __init__(self, budget: ExperimentBudget, cell: Cell) -> None:
        self._budget, self._cell = budget, cell

    def find_cause(self, evidence: Evidence) -> Finding | None:
        """The finding that an import draws what differs; None if nothing shows that.

        Args:
            evidence: Of a process that imported the program before its run.
        """
        experiment = Experiment((self._cell,) * _PLAIN_RUNS, log_calls=True)
        plain = self._repeat(experiment, "import the program again")
        if plain.equal:
            return None
        runs = compute_required_runs(len(plain.differing), plain.run_count - 1)
        self._experiment, self._outcomes = Experiment((self._cell,) * runs), set(plain.outcomes)
        # No call shows that a global generator, which a new process has in a random state, was drawn from.
        pinned = self._suspend([OS_ENTROPY], log_calls=True)
        evidence = replace(evidence, calls=(*plain.calls, *pinned.calls, *evidence.calls))
        suspects = [each for each in rank_suspects(evidence) if self._is_suspected(each, evidence)]
        found = [OS_ENTROPY] if self._is_equal(pinned) else self._find_others(suspects)
        if not found:
            return None
        experiment = self._experiment._replace(suspended=tuple(found))
        return _explain(found, minimize_calls(evidence, found, experiment, self._repeat))

    def _find_others(self, suspects: Sequence[str]) -> list[str]:
        single = (each for each in suspects if each != OS_ENTROPY and self._is_equal(self._suspend([each])))
        if (found := next(single, "")) != "":
            return [found]
        if len(suspects) < 2 or not self._is_equal(self._suspend(suspects)):
            return []
        return minimize(list(suspects), lambda rest: self._is_equal(self._suspend(rest)))

    def _is_suspected(self, suspect: str, evidence: Evidence) -> bool:
        name = get_cause_name(suspect)
        if get_cause(name).needs_fresh_process or name == "import":
            return False
        return name == OS_ENTROPY or bool(evidence.calls_for(name))

    def _suspend(self, suspects: Sequence[str], log_calls: bool = False) -> ExperimentResult:
        experiment = self._experiment._replace(suspended=tuple(suspects), log_calls=log_calls)
        return self._repeat(experiment, f"{', '.join(map(describe_suspension, suspects))} while importing")

    def _is_equal(self, result: ExperimentResult) -> bool:
        return result.equal and self._outcomes.issuperset(result.outcomes)

    def _repeat(self, experiment: Experiment, purpose: str) -> ExperimentResult:
        """Makes the runs of *experiment* one by one; with suspects suspended, until one differs."""
        results: list[ExperimentResult] = []
        differing: list[int] = []
        for number, cell in enumerate(experiment.cells):
            single = experiment._replace(cells=(cell,), log_calls=experiment.log_calls and not number)
            results.append(self._budget.run_experiment(single, purpose, IMPORTS))
            if results[-1].reference_digest != results[0].reference_digest:
                differing.append(number)
                if experiment.suspended:
                    break
        outcomes = dict.fromkeys(outcome for result in results for outcome in result.outcomes)
        count = len(results)
        return replace(results[0], run_count=count, differing=tuple(differing), outcomes=tuple(outcomes))


def _explain(suspects: Sequence[str], evidence: Evidence) -> Finding:
    finding = build_finding(suspects, evidence)
    if finding.name == OS_ENTROPY:
        return replace(finding, explanation=f"{finding.explanation}; {IMPORT_NOTE}", fix=IMPORT_FIX)
    return replace(finding, explanation=f"{finding.explanation}; called when the module was imported")
