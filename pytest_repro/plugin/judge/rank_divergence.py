"""Which rank differs first, at which op: traces of the ranks, made again if the runs were not traced."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from pytest_repro.companions.companion import InterpreterLost
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.plan.plan import Cell
from pytest_repro.core.runs.run import Run, RunSpec
from pytest_repro.engine.runs.trial import Trial
from pytest_repro.plugin import peers
from pytest_repro.plugin.judge.judge import should_look_for_cause
from pytest_repro.plugin.run.tracing import CellKey, Tracer, find_cell_keys
from pytest_repro.plugin.stash import SETTINGS

if TYPE_CHECKING:
    from pytest_repro.core.trace.divergence import Divergence

_MAX_RUNS = 4
"""Traced runs that are compared with the first one until one differs: a race does not occur in each."""

_NO_DIVERGENCE = "no op differs between traced runs"


class TracedRanks(Protocol):
    """Ranks that keep the traces of a test's runs."""

    def run(self, item: pytest.Item, size: int, spec: RunSpec) -> object:
        """Makes a run of *item* in *size* ranks."""

    def compare(self, size: int, *keys: CellKey) -> Mapping[int, str]:
        """What each rank reports of two of its traced runs, from :func:`.encode_comparison`."""


class RankTracer(Tracer):
    """Finds the op that differs first over all ranks; the ranks keep the traces.

    Args:
        item: The test.
        trial: Its runs.
        ranks: Make traced runs, and compare them; None if they were launched with this process.
    """

    def __init__(self, item: pytest.Item, trial: Trial, ranks: TracedRanks | None) -> None:
        super().__init__()
        self._item, self._trial, self._ranks = item, trial, ranks

    def trace_run(self, spec: RunSpec) -> AbstractContextManager[None]:
        """Traces nothing in this process."""
        return nullcontext()

    def add_divergence(self, verdict: Verdict) -> Verdict:
        settings, runs = self._item.config.stash[SETTINGS], {_get_key(run): run for run in verdict.runs}
        for keys in map(find_cell_keys, verdict.mismatches):
            reference, other = map(runs.get, keys)
            if (
                reference is None
                or other is None
                or _get_size(reference, verdict) != _get_size(other, verdict)
            ):
                continue  # another number of ranks divides the work in another way: every op differs
            if not settings.trace and not (self._ranks and should_look_for_cause(self._item, verdict)):
                return verdict
            try:
                divergence = self._find_over_ranks(verdict, reference, other)
            except InterpreterLost as lost:
                return replace(verdict, undiagnosed=f"in a traced run, {str(lost).partition(chr(10))[0]}")
            return replace(verdict, divergence=divergence, undiagnosed="" if divergence else _NO_DIVERGENCE)
        return verdict

    def _find_over_ranks(self, verdict: Verdict, reference: Run, other: Run) -> Divergence | None:
        settings, size = self._item.config.stash[SETTINGS], _get_size(reference, verdict)
        if settings.trace:
            return self._compare(size, reference, other)
        deadline = monotonic() + settings.diagnose_seconds
        self._trace_again(size, reference)
        for _ in range(_MAX_RUNS):
            self._trace_again(size, other)
            if (found := self._compare(size, reference, other)) is not None or monotonic() > deadline:
                return found
        return None

    def _compare(self, size: int, reference: Run, other: Run) -> Divergence | None:
        from pytest_repro.core.trace.rank_divergence import decode_comparison, find_first_divergence

        texts = self._collect(size, _get_key(reference), _get_key(other))
        return find_first_divergence({rank: decode_comparison(texts[rank]) for rank in sorted(texts)})

    def _collect(self, size: int, *keys: CellKey) -> Mapping[int, str]:
        assert self._ranks is not None
        return self._ranks.compare(size, *keys)

    def _trace_again(self, size: int, run: Run) -> None:
        keys = list(map(_get_key, self._trial.runs))
        number = keys.index(_get_key(run)) if _get_key(run) in keys else len(keys)
        cell = Cell(run.axis, run.value, run.setting, run.repeat_of)
        assert self._ranks is not None
        with peers.wrap_pause(self._item):  # the test's time limit does not cover it
            self._ranks.run(self._item, size, replace(self._trial.make_spec(cell, number), traced=True))


def _get_key(run: Run) -> CellKey:
    return run.axis, run.value, run.repeat_of


def _get_size(run: Run, verdict: Verdict) -> Any:
    return run.setting.get("ranks", verdict.plan.ranks)
