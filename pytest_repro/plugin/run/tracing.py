"""Traces of a test's own runs, for ``--repro-trace``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.plan.plan import REPEAT, Cell
from pytest_repro.core.runs.observation import ContentRef, Observation, format_key
from pytest_repro.core.runs.run import RunSpec
from pytest_repro.engine.runs.recording import Recording
from pytest_repro.values.hashing import digest

if TYPE_CHECKING:
    from pytest_repro.core.trace.divergence import Divergence
    from pytest_repro.core.trace.rank_divergence import RankComparison
    from pytest_repro.core.trace.trace import Trace

RecordFunction = Callable[[str, object], None]

CellKey = tuple[str, object, object]
"""Axis and value of a run, and what it repeats."""


class Tracer:
    """Keeps the traces of one test's runs in this process.

    Attributes:
        enabled: Whether the run in progress is traced.
    """

    def __init__(self) -> None:
        self.enabled = False
        self._traces: dict[CellKey, Trace] = {}
        self._body_lengths: dict[CellKey, int] = {}

    def trace_run(self, spec: RunSpec) -> AbstractContextManager[None]:
        """Traces the run of *spec*, if it asks for that, from set-up to tear-down."""
        self.enabled = spec.traced
        return self._trace_run(spec) if spec.traced else nullcontext()

    @contextmanager
    def _trace_run(self, spec: RunSpec) -> Iterator[None]:
        from pytest_repro.traces import is_traced_thoroughly, trace

        if is_traced_thoroughly():  # by an experiment, which keeps the trace: once more takes as long again
            yield
            return
        with trace() as run_trace:
            self._traces[_make_key(spec.cell)] = run_trace
            yield

    def mark_body_end(self, cell: Cell) -> None:
        """Marks that the ops that follow belong to the tear-down."""
        key = _make_key(cell)
        if self.enabled and key in self._traces:
            self._body_lengths[key] = len(self._traces[key])

    def add_divergence(self, verdict: Verdict) -> Verdict:
        """*verdict* with the first op at which its own runs diverged."""
        divergences = (
            filter(None, map(self._find_divergence, verdict.mismatches)) if self._traces else iter(())
        )
        divergence = next(divergences, None)
        return replace(verdict, divergence=divergence) if divergence is not None else verdict

    def _find_divergence(self, mismatch: Mismatch) -> Divergence | None:
        from pytest_repro.core.trace.divergence import first_divergence

        reference, other = map(self._get_body, find_cell_keys(mismatch))
        return first_divergence(reference, other) if reference is not None and other is not None else None

    def compare(self, reference: CellKey, other: CellKey) -> RankComparison:
        """What this rank reports of two runs; an empty trace stands for a run that has none."""
        from pytest_repro.core.trace.rank_divergence import compare_traces
        from pytest_repro.core.trace.trace import Trace

        return compare_traces(*(self._get_body(key) or Trace() for key in (reference, other)))

    def _get_body(self, key: CellKey) -> Trace | None:
        found = self._traces.get(key)
        return None if found is None else found.head(self._body_lengths.get(key, len(found)))


@contextmanager
def pause_in_packages(item: pytest.Item) -> Iterator[None]:
    """Traces nothing that the packages of *item* set up, once for all runs."""
    from pytest_repro.engine.experiments.line_trace import pause_all_tracing

    packages = [each for each in item.listchain() if isinstance(each, pytest.Package)]
    for package in packages:
        vars(package)["setup"] = pause_all_tracing()(package.setup)
    try:
        yield
    finally:
        for package in packages:
            del vars(package)["setup"]


def find_cell_keys(mismatch: Mismatch) -> tuple[CellKey, CellKey]:
    """The run that *mismatch* is compared with, and its own."""
    at = mismatch.repeat_of
    return (at[0], at[1], None) if at else (REPEAT, 0, None), (mismatch.axis, mismatch.value, at)


def _make_key(cell: Cell) -> CellKey:
    return cell.axis, cell.value, cell.repeat_of


def make_traced_record(recording: Recording) -> RecordFunction:
    """``recording.record`` that also notes each value in the trace: where no op diverges, a value may."""

    from pytest_repro.traces import trace_value

    def record(name: str, value: object) -> None:
        before = len(recording)
        recording.record(name, value)
        for observation in recording.read_since(before):
            label = format_key(observation.key, observation.key[1] > 0)
            trace_value(f"record {label}", (_digest(observation),))

    return record


def _digest(observation: Observation) -> str:
    content = observation.content
    if isinstance(content, ContentRef):
        return content.digest
    return digest(observation.kind, [memoryview(content)])
