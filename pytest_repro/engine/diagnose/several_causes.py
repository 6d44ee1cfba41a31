"""Several causes at work: suspends what explains a divergence, looks where runs diverge next, repeats.

A cause is established if runs differ while all others are suspended, and agree while it is suspended as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import zip_longest
from typing import Any, NamedTuple, Protocol

from pytest_repro.causes import get_cause
from pytest_repro.core.diagnose import Evidence, ExperimentResult, Finding
from pytest_repro.core.trace.divergence import Divergence, LineStep
from pytest_repro.engine.diagnose.chance import compute_required_runs, repeat_until_known
from pytest_repro.engine.diagnose.findings import (
    ADDRESS_LAYOUT,
    build_finding,
    describe_suspension,
    get_cause_name,
    locate,
    rank_suspects,
)
from pytest_repro.engine.diagnose.minimize import SHARED_STATE, minimize

_IN_FRESH_PROCESSES = (SHARED_STATE, ADDRESS_LAYOUT)
"""Suspects that are suspended if each run starts in a fresh process."""

_PAIRS = 5
"""Pairs of runs: that all differ at an op, and none of as many others does, is chance once in 252 times."""


class RunFunction(Protocol):
    """Makes so many runs, for a purpose that is shown to the user."""

    def __call__(
        self, runs: int, purpose: str, suspended: Sequence[str] = (), **options: Any
    ) -> ExperimentResult: ...


class Trials(NamedTuple):
    """How suspects are suspended, and what counts as equal."""

    run: RunFunction
    is_equal: Callable[[ExperimentResult], bool]  # and whether the runs end as without suspension
    is_equal_without: Callable[[Sequence[str]], bool]
    find_in_fresh_processes: Callable[[Sequence[str]], str]  # the suspect that explains it; "" if they differ
    limit_runs: Callable[[int], int]
    runs_needed: int  # to tell a suspect from chance


class ActingCause(NamedTuple):
    """One of the causes, and what runs did while it alone acted."""

    suspect: str
    evidence: Evidence  # where runs diverged, and how often
    steps: tuple[tuple[LineStep, ...], ...]  # the lines of two runs that differ

    @property
    def place(self) -> tuple[float, float, float]:
        """Where it acts first: the step of its line, then the op, then the order of calls in that line."""
        divergence = self.evidence.divergence
        locations = [step.location for step in self.steps[0]] if self.steps else []
        pairs = enumerate(zip_longest(*self.steps))
        places = [index for index, (a, b) in pairs if a != b][:1] if len(self.steps) == 2 else []
        if divergence is not None and divergence.location in locations:
            places.append(locations.index(divergence.location))
        causes = [call.cause for call in self.evidence.calls]
        name = get_cause_name(self.suspect)
        call = causes.index(name) if name in causes else -1
        return min(places, default=math.inf), math.inf if divergence is None else divergence.index, call


class SeveralCauses:
    """Searches for the fewest suspects without which, taken together, runs agree.

    Args:
        evidence: What is known before any suspect is suspended.
        usable: Suspects during whose suspension the test runs.

    Attributes:
        held: The suspects that were suspended together in the end.
        divergence: Where runs then still diverged.
    """

    def __init__(self, trials: Trials, evidence: Evidence, usable: Sequence[str]) -> None:
        self._trials, self._evidence, self._usable = trials, evidence, usable
        self.held: list[str] = []
        self.divergence: Divergence | None = None

    def find_causes(self) -> list[ActingCause]:
        """The causes in the order in which they act; none if experiments do not show it."""
        if not self._hold_suspects():
            return []
        fresh = [suspect for suspect in self.held if suspect in _IN_FRESH_PROCESSES]
        plain = [suspect for suspect in self.held if suspect not in fresh]
        if fresh:
            find = self._trials.find_in_fresh_processes
            plain = minimize(plain, lambda rest: find(rest) in fresh)
            plain = [] if find(()) in fresh else plain
        else:
            plain = minimize(plain, self._trials.is_equal_without)
        suspects = [*fresh, *plain]
        needed = self._trials.runs_needed
        causes = []
        for suspect in suspects:
            cause, runs = self._observe_alone(suspect, suspects)
            if not cause.evidence.differing:
                return []
            needed = max(needed, runs)
            causes.append(cause)
        if needed > self._trials.runs_needed and not self._agree_without(suspects, needed):
            return []
        return sorted(causes, key=lambda cause: cause.place)

    def _hold_suspects(self) -> bool:
        """Suspends what can explain the first divergence, then the next, until runs agree."""
        evidence = self._evidence
        while new := self._list_suspects(evidence):
            self.held += new
            result = self._run_without(self.held, self._trials.runs_needed, trace_ops=True)
            if self._trials.is_equal(result):
                return True
            if result.equal:  # it ends in another way than without suspension
                self.held = [suspect for suspect in self.held if self._is_harmless(suspect)]
                if self.held and self._trials.is_equal_without(self.held):
                    return True
                break
            self.divergence = result.divergence
            evidence = replace(evidence, divergence=self.divergence)
        fresh = self._trials.find_in_fresh_processes(self.held)
        self.held = [fresh] * bool(fresh) + self.held
        return fresh != ""

    def _list_suspects(self, evidence: Evidence) -> list[str]:
        """The suspects to suspend next."""
        known = [SHARED_STATE, *self.held, *rank_suspects(self._evidence)]
        usable = [suspect for suspect in self._usable if suspect not in self.held]
        return [suspect for suspect in rank_suspects(evidence) if suspect in usable or suspect not in known]

    def _is_harmless(self, suspect: str) -> bool:
        """Whether the test ends as without suspension while *suspect* is suspended."""
        return self._trials.is_equal(self._run_without([suspect], 1))

    def _run_without(self, suspects: Sequence[str], runs: int, **options: Any) -> ExperimentResult:
        plain = [suspect for suspect in suspects if suspect not in _IN_FRESH_PROCESSES]
        fresh = len(plain) < len(suspects)
        purpose = ", ".join([*map(describe_suspension, plain), *["each run in a fresh process"] * fresh])
        return self._trials.run(runs, purpose, plain, fresh_forks=fresh, **options)

    def _agree_without(self, suspects: Sequence[str], needed: int) -> bool:
        runs = self._trials.limit_runs(needed)
        return runs == needed and self._trials.is_equal(self._run_without(suspects, runs))

    def _observe_alone(self, suspect: str, suspects: Sequence[str]) -> tuple[ActingCause, int]:
        """What runs do while only *suspect* acts, and how many without it chance hardly explains."""
        others = [each for each in suspects if each != suspect]
        traced = self._run_without(others, self._trials.runs_needed, trace_ops=True)
        steps = self._run_without(others, self._trials.runs_needed, trace_lines=True).steps
        digests = repeat_until_known(
            [traced], lambda count: self._run_without(others, self._trials.limit_runs(count))
        )
        divergence = traced.divergence if traced.differing else None
        differing = sum(digest != digests[0] for digest in digests)
        evidence = replace(self._evidence, divergence=divergence, differing=differing, runs=len(digests) - 1)
        return ActingCause(suspect, evidence, steps), compute_required_runs(digests)

    def find_first_causes(self, original: ExperimentResult) -> list[ActingCause]:
        """The causes of the first divergences, one after the other, though what makes the last is unknown.

        Args:
            original: The traced runs without suspension.
        """
        causes: list[ActingCause] = []
        while _is_earlier(original.divergence, self.divergence):
            known = [cause.suspect for cause in causes]
            if not (suspects := self._find_next_causes(known, original)):
                break
            evidence = replace(self._evidence, divergence=original.divergence)
            causes += [ActingCause(suspect, evidence, ()) for suspect in suspects]
            original = self._run_without([*known, *suspects], 2, trace_ops=True)
        return causes

    def _find_next_causes(self, known: Sequence[str], original: ExperimentResult) -> list[str]:
        """The suspects without which, and without *known*, the op agrees at which *original* diverges."""
        suspects = [each for each in self.held if each not in (*known, *_IN_FRESH_PROCESSES)]
        if not suspects or self._reach([*known, *suspects], original) is not True:
            return []
        for suspect in suspects[::-1]:
            rest = [each for each in suspects if each != suspect]
            reached = self._reach([*known, *rest], original)
            if reached is None:
                return []
            suspects = rest if reached else suspects
        return suspects

    def _reach(self, suspects: Sequence[str], original: ExperimentResult) -> bool | None:
        """Whether all pairs of runs agree up to where *original* diverges, or none; otherwise None."""
        reached: bool | None = None
        for _ in range(_PAIRS):
            here = _agrees_at(original, self._run_without(suspects, 2, trace_ops=True))
            if here is None or (reached is not None and here != reached):
                return None
            reached = here
        return reached


def _is_earlier(first: Divergence | None, second: Divergence | None) -> bool:
    return first is not None and second is not None and first.index < second.index


def _agrees_at(original: ExperimentResult, result: ExperimentResult) -> bool | None:
    """Whether two runs agree at the op at which *original* diverges; None if they do not get there."""
    first, now = original.divergence, result.divergence
    if first is None or first.kind not in ("value", "input") or not result.traces:
        return None
    count = first.index + 1
    if [op.name for op in result.traces[0][:count]] != [op.name for op in original.traces[0][:count]]:
        return None
    if now is not None and now.index < first.index:
        return None
    return now is None or now.index > first.index


def build_findings(causes: Sequence[ActingCause], evidence: Evidence) -> list[Finding]:
    """The findings for *causes*, with the calls and changes of *evidence*."""
    note = f"; runs differ while only this cause acts, and agree while none of the {len(causes)} causes does"
    findings = []
    for cause in causes:
        own = replace(cause.evidence, calls=evidence.calls, changes=evidence.changes)
        finding = build_finding(cause.suspect, own)
        by_line = get_cause(finding.name).located_by_line
        finding = locate(finding, own.divergence, partial(getattr, cause, "steps") if by_line else None)
        findings.append(replace(finding, explanation=finding.explanation + note * (len(causes) > 1)))
    return findings


def build_first_findings(causes: Sequence[ActingCause]) -> list[Finding]:
    """The findings for *causes* of the first divergences, while later ones are unknown."""
    found = [(build_finding(cause.suspect, cause.evidence), cause.evidence) for cause in causes]
    return [
        replace(finding, explanation=f"{finding.explanation}; without it runs agree there, and diverge later")
        for finding in (locate(finding, evidence.divergence) for finding, evidence in found)
    ]
