"""Tests suspects in the process that made the runs of the verdict, without another interpreter.

Runs without suspension differ, runs with one suspect suspended agree, and runs without it differ again: what
merely settles, such as a cache that is filled, is not mistaken for a cure.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

from pytest_repro.causes import get_cause
from pytest_repro.core.diagnose import Evidence, ExperimentResult, ExternalCall
from pytest_repro.core.trace.divergence import Divergence
from pytest_repro.engine.diagnose import ExperimentFailed, KnownCall, OutOfTime, ThisProcess
from pytest_repro.engine.diagnose.chance import (
    FALSE_POSITIVE_RATE,
    compute_chance,
    compute_required_runs,
    run_until_certain,
)
from pytest_repro.engine.diagnose.findings import describe_suspension, get_cause_name, rank_suspects

_MAX_FREE_RUNS, _MAX_HELD_RUNS, _MAX_RUNS_AGAIN = 32, 64, 8
"""What needs more runs is left to a companion, which can also be stopped."""

_ONCE_PER_PROCESS = ("import",)
"""Causes that have acted in this process before the diagnosis begins."""

_KNOWN_RUNS, _RUNS_OF_SAME_TEST, _FREE_RUN, _MAX_KNOWN_TRIES = 4, 3, 1, 3
_KNOWN_OPTIONS = {"trace_ops": True, "log_calls": True, "free_run": _FREE_RUN}
"""Of the runs that confirm a call that made runs of another test differ."""

_AGAIN = ["again", "and again"]
"""Stands for the digests of the last runs without suspension, which are still to come."""


class RunFunction(Protocol):
    """Makes so many runs, for a purpose that is shown to the user."""

    def __call__(
        self, runs: int, purpose: str, suspended: Sequence[str] = (), **options: Any
    ) -> ExperimentResult: ...


class SuspectSearch:
    """Searches for the one suspect without which runs of this process agree.

    Attributes:
        free: Digests of runs without suspension.
        evidence: What the runs have shown.
        divergence: The first op that diverged.
        ineffective: Suspects during whose suspension runs still differed.
        not_suspended: Cause word → why it may have acted although it was suspended.
    """

    def __init__(self, run: RunFunction, process: ThisProcess) -> None:
        self._run, self._known_calls, self._test = run, process.known_calls, process.test
        self.free, self._names = list(process.digests), set(process.differing_names)
        self.evidence = Evidence()
        self.divergence: Divergence | None = None
        self.ineffective: list[str] = []
        self.not_suspended: dict[str, str] = {}
        self._outcomes: set[str] = set()

    def find_suspect(self) -> str:
        """The suspect; ``""`` if none is established."""
        if suspect := self._find_known_suspect():
            return suspect
        first = self._run_free(2, "run again, recording ops", trace_ops=True, log_calls=True)
        self.divergence = first.divergence
        self._note_evidence(first)
        if first.equal or not self._names.issubset(first.differing_names):
            return ""  # state that has settled, at least in part, or a rare difference
        while compute_required_runs([*self.free, *_AGAIN]) > 2 * len(self.free) <= _MAX_FREE_RUNS:
            self._run_free(len(self.free), "run again, to see how often it differs")
            self._note_evidence(first)
        for suspect in self._list_suspects():
            try:
                if self._is_cause(suspect):
                    self._note_known(suspect)
                    return suspect
            except OutOfTime:
                raise
            except ExperimentFailed:  # suspended, it makes the test hang, which shows nothing
                continue
        return ""

    def _list_suspects(self) -> list[str]:
        """The suspects with evidence, without what only another process can answer."""
        causes = {suspect: get_cause(get_cause_name(suspect)) for suspect in rank_suspects(self.evidence)}
        return [
            suspect
            for suspect, cause in causes.items()
            if cause.has_evidence(self.evidence)
            and not (cause.needs_fresh_process or cause.name in _ONCE_PER_PROCESS)
        ]

    def _run_free(self, runs: int, purpose: str, **options: Any) -> ExperimentResult:
        """Makes runs without suspension."""
        result = self._run(runs, purpose, **options)
        self.free += result.digests
        self._outcomes.update(result.outcomes)
        return result

    def _run_without(self, suspect: str, runs: int, **options: Any) -> ExperimentResult:
        if runs > _MAX_HELD_RUNS:
            raise ExperimentFailed(f"to tell chance from {suspect} takes {runs} runs")
        result = self._run(runs, describe_suspension(suspect), (suspect,), until_differing=True, **options)
        self.not_suspended.update(result.not_suspendable)
        return result

    def _note_evidence(self, first: ExperimentResult) -> None:
        differing = sum(digest != self.free[0] for digest in self.free)
        self.evidence = Evidence(first.calls, self.divergence, (), differing, len(self.free) - 1)

    def _is_cause(self, suspect: str) -> bool:
        """Whether runs agree while *suspect* is suspended, and differ again after that."""
        held = run_until_certain(lambda runs: self._run_without(suspect, runs), [*self.free, *_AGAIN])
        if not held.equal:
            self.ineffective.append(suspect)
        if not held.equal or not self._outcomes.issuperset(held.outcomes):
            return False
        again = self._run_free(_MAX_RUNS_AGAIN, "run again, nothing suspended", until_differing=True)
        if again.equal:
            return False
        if compute_chance(self.free, held.digests) <= FALSE_POSITIVE_RATE:
            return True
        more = run_until_certain(lambda runs: self._run_without(suspect, runs), self.free, held.digests)
        return more.equal and more.digests[0] == held.digests[0]

    def _note_known(self, suspect: str) -> None:
        """Remembers the call that made runs differ, if it is the only one."""
        calls = self.evidence.calls_for(suspect)
        if len({call.location for call in calls}) == 1 and not get_cause(suspect).located_by_line:
            self._remember(KnownCall(calls[0], self._test))

    def _remember(self, known: KnownCall) -> None:
        """Puts *known* first, as the most recent call."""
        others = (each for each in self._known_calls if _identify(each.call) != _identify(known.call))
        self._known_calls[:] = [known, *others]

    def _find_known_suspect(self) -> str:
        """The suspect whose call made runs of another test differ, if it does here as well."""
        if not self._known_calls or len(set(self.free)) < 2:
            return ""
        with suppress(ExperimentFailed):
            for known in self._list_known_calls():
                if self._is_known_cause(known):
                    self._remember(known)
                    return known.call.cause
        return ""

    def _list_known_calls(self) -> Sequence[KnownCall]:
        """The known calls that this test makes, the most recent first; the only one, without a look."""
        own = [known for known in self._known_calls if known.test and known.test == self._test]
        if len(own or self._known_calls) == 1:
            return own or self._known_calls
        result = self._run_free(1, "run again, noting calls", log_calls=True)
        seen = set(map(_identify, result.calls))
        return [known for known in self._known_calls if _identify(known.call) in seen][:_MAX_KNOWN_TRIES]

    def _is_known_cause(self, known: KnownCall) -> bool:
        """Whether the call of *known* makes the difference.

        Since its line is known to make runs differ, few runs confirm it: those of the verdict differ, and of
        four more, one calls it and differs from all, the others agree, with it suspended before and after.
        Three do with other parameters of the same test, in whose code that call is known to matter.
        """
        call, test = known
        runs = _RUNS_OF_SAME_TEST if test and test == self._test else _KNOWN_RUNS
        variant = get_cause(call.cause).choose_variant(call)
        suspect = f"{call.cause}:{variant}" if variant else call.cause
        result = self._run(runs, describe_suspension(suspect), (suspect,), **_KNOWN_OPTIONS)
        if result.run_count < runs or len(result.outcomes) > 1 or result.not_suspendable:
            return False
        if not self._names.issubset(result.differing_names):
            return False
        held = [*result.digests]
        free = held.pop(_FREE_RUN)
        same = {_identify(each) for each in result.calls if each.cause == call.cause}
        if same != {_identify(call)} or len({*self.free, free, *held}) != len(self.free) + 2:
            return False
        self.free.append(free)
        self.divergence = result.divergence
        self._note_evidence(result)
        return True


def _identify(call: ExternalCall) -> tuple[str, str]:
    return call.display_name, call.location
