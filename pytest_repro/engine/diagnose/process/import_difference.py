"""Whether processes differ because of what they draw while they import the program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pytest_repro.causes import get_cause
from pytest_repro.causes.os_entropy import IMPORT_FIX, IMPORT_NOTE
from pytest_repro.core.diagnose import Evidence, Experiment, ExperimentResult, ExternalCall, Finding
from pytest_repro.core.plan.plan import Cell
from pytest_repro.engine.diagnose import ExperimentBudget
from pytest_repro.engine.diagnose.chance import compute_required_runs
from pytest_repro.engine.diagnose.findings import (
    build_finding,
    describe_suspension,
    get_cause_name,
    rank_suspects,
)
from pytest_repro.engine.diagnose.minimize import minimize, minimize_calls
from pytest_repro.engine.diagnose.process.fresh_processes import IMPORTS

OS_ENTROPY = "os-entropy"

_OBSERVED_RUNS = 9
"""Runs, 0.15 s each, of which every second one has another memory layout.

A module that tosses a coin is taken for one that draws nothing if the others agree, in one of 16 cases."""

_PLAIN_RUNS, _MORE_PLAIN_RUNS = 4, 12
"""Runs without suspension, if some differ; more if some of the first agree, to see how often they do."""


class ImportDiagnosis:
    """Runs *cell* in forks of one process, each of which imports the program.

    Attributes:
        is_observed: Whether the first runs are made.
        differs: Whether they differ.
        differs_when_shifted: Whether those of them with another memory layout differ, and only those.
        differs_in_one_layout: Whether runs do although what was imported had the same addresses.
        calls: What could make them differ, while the program is imported.
        further: Causes besides the first.
    """

    is_observed = differs = differs_when_shifted = differs_in_one_layout = False
    further: tuple[Finding, ...] = ()

    def __init__(self, budget: ExperimentBudget, cell: Cell) -> None:
        self._budget, self._cell = budget, cell
        self.calls: tuple[ExternalCall, ...] = ()

    def observe(self) -> None:
        """Makes runs, some of them with another memory layout, until others differ."""
        flags = {"shift_heap": True, "log_calls": True, "digest_layout": True, "until_differing": True}
        result = self._run_plain(_OBSERVED_RUNS, **flags)
        plain = replace(result, digests=result.digests[::2], layouts=result.layouts[::2])
        self.is_observed, self.differs, self.calls = True, len(set(plain.digests)) > 1, result.calls
        self.differs_when_shifted = not (self.differs or set(result.digests) == set(plain.digests))
        self.differs_in_one_layout = plain.differs_in_one_layout

    def find_cause(self, evidence: Evidence) -> Finding | None:
        """The finding that an import draws what differs; None if nothing shows that.

        Args:
            evidence: Of a process that imported the program before its run.
        """
        if self.is_observed and not self.differs:
            return None
        plain = self._run_plain(_PLAIN_RUNS, log_calls=True, digest_layout=True)
        digests, self.calls, self._outcomes = plain.digests, plain.calls, set(plain.outcomes)
        self.differs_in_one_layout |= plain.differs_in_one_layout
        if plain.equal and not self.is_observed:
            return None
        if len(set(digests)) < _PLAIN_RUNS:
            more = self._run_plain(_MORE_PLAIN_RUNS)
            digests += more.digests
            self._outcomes.update(more.outcomes)
        if len(set(digests)) == 1:  # it is rare
            return None
        most_common = max(Counter(digests).values())
        required_runs = 3 if most_common == 1 else compute_required_runs(digests)
        self._experiment = Experiment((self._cell,) * required_runs, fresh_forks=True)
        # No call shows that a global generator, which a new process has in a random state, was drawn from.
        pinned = self._suspend([OS_ENTROPY], log_calls=True)
        self.calls += pinned.calls
        evidence = replace(evidence, calls=(*self.calls, *evidence.calls))
        suspects = [each for each in rank_suspects(evidence) if self._is_suspected(each, evidence)]
        found = [OS_ENTROPY] if self._is_equal(pinned) else self._find_others(suspects)
        if not found:
            return None
        experiment = self._experiment._replace(suspended=tuple(found))
        evidence = minimize_calls(evidence, found, experiment, self._repeat)
        finding, *further = (_explain(suspect, evidence) for suspect in found)
        self.further = tuple(further)
        return finding

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

    def _run_plain(self, count: int, **flags: Any) -> ExperimentResult:
        experiment = Experiment((self._cell,) * count, fresh_forks=True, **flags)
        return self._run(experiment, "import the program again")

    def _repeat(self, experiment: Experiment, purpose: str) -> ExperimentResult:
        return self._run(experiment._replace(until_differing=True), purpose)

    def _run(self, experiment: Experiment, purpose: str) -> ExperimentResult:
        return self._budget.run_experiment(experiment, purpose, IMPORTS)


def _explain(suspect: str, evidence: Evidence) -> Finding:
    finding = build_finding(suspect, evidence)
    if finding.name == OS_ENTROPY:
        return replace(finding, explanation=f"{finding.explanation}; {IMPORT_NOTE}", fix=IMPORT_FIX)
    return replace(finding, explanation=f"{finding.explanation}; called when the module was imported")
