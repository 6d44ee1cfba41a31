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

_Place = tuple[str, object, object]


class Tracer:
    """Keeps the traces of one test's runs in this process.

    Args:
        on: Whether there are any.
    """

    def __init__(self, on: bool) -> None:
        self.on = on
        self._traces: dict[_Place, Trace] = {}
        self._lengths: dict[_Place, int] = {}

    @contextmanager
    def run(self, cell: Cell) -> Iterator[None]:
        """A run of *cell*, from set-up to tear-down."""
        if not self.on:
            yield
            return
        with trace() as found:
            self._traces[_place(cell)] = found
            yield

    def body_ended(self, cell: Cell) -> None:
        """Takes note that what follows is the tear-down's."""
        if self.on and _place(cell) in self._traces:
            self._lengths[_place(cell)] = len(self._traces[_place(cell)])

    def told(self, verdict: Verdict) -> Verdict:
        """*verdict* with the first op at which its own runs parted."""
        found = next(filter(None, map(self._between, verdict.mismatches)), None) if self.on else None
        return replace(verdict, divergence=found) if found is not None else verdict

    def _between(self, mismatch: object) -> Divergence | None:
        axis, value, at = (getattr(mismatch, name) for name in ("axis", "value", "at"))
        first = self._body((at[0], at[1], None) if at else (REPEAT, 0, None))
        other = self._body((axis, value, at))
        return first_divergence(first, other) if first is not None and other is not None else None

    def _body(self, place: _Place) -> Trace | None:
        found = self._traces.get(place)
        return None if found is None else found.until(self._lengths.get(place, len(found)))


def _place(cell: Cell) -> _Place:
    return cell.axis, cell.value, cell.at
