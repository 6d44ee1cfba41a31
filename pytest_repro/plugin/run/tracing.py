"""The ops of every run, where ``--repro-trace`` asks for them: of the very runs that differed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.plan.cell import REPEAT, Cell
from pytest_repro.core.trace.divergence import Divergence, first_divergence
from pytest_repro.core.trace.trace import Trace
from pytest_repro.traces import trace

_RunKey = tuple[str, object, object]


class Tracer:
    """Keeps the traces of one test's runs in this process.

    Args:
        enabled: Whether there are any.
    """

    def __init__(self, enabled: bool) -> None:
        self.enabled = enabled
        self._traces: dict[_RunKey, Trace] = {}
        self._body_lengths: dict[_RunKey, int] = {}

    @contextmanager
    def trace_run(self, cell: Cell) -> Iterator[None]:
        """A run of *cell*, from set-up to tear-down."""
        if not self.enabled:
            yield
            return
        with trace() as found:
            self._traces[_get_run_key(cell)] = found
            yield

    def mark_body_end(self, cell: Cell) -> None:
        """Takes note that what follows is the tear-down's."""
        if self.enabled and _get_run_key(cell) in self._traces:
            self._body_lengths[_get_run_key(cell)] = len(self._traces[_get_run_key(cell)])

    def add_divergence(self, verdict: Verdict) -> Verdict:
        """*verdict* with the first op at which its own runs parted."""
        found = (
            next(filter(None, map(self._find_divergence, verdict.mismatches)), None) if self.enabled else None
        )
        return replace(verdict, divergence=found) if found is not None else verdict

    def _find_divergence(self, mismatch: object) -> Divergence | None:
        axis, value, at = (getattr(mismatch, name) for name in ("axis", "value", "repeat_of"))
        first = self._get_body_trace((at[0], at[1], None) if at else (REPEAT, 0, None))
        other = self._get_body_trace((axis, value, at))
        return first_divergence(first, other) if first is not None and other is not None else None

    def _get_body_trace(self, run_key: _RunKey) -> Trace | None:
        found = self._traces.get(run_key)
        return None if found is None else found.head(self._body_lengths.get(run_key, len(found)))


def _get_run_key(cell: Cell) -> _RunKey:
    return cell.axis, cell.value, cell.repeat_of
