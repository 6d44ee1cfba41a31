"""What the ops of a run computed, one after the other, while they run.

A dispatch mode of our own sees every op that this thread asks of torch, those of the backward pass
included, on whatever thread autograd runs them. Not seen: what numpy and Python compute (what
enters torch from them is digested where it enters), what threads of the user's compute, what runs
inside a region compiled by ``torch.compile`` (its results are inputs from outside to the op that
reads them first; what it or a thread writes to memory that a traced op made is told from a kernel
by a thorough trace alone). Where autograd runs on a device's own thread no line of the user's
leads to the op: the line of its forward op is told.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from types import ModuleType

from pytest_repro.core.trace.columns import NO_FORWARD, Columns
from pytest_repro.core.trace.trace import Trace, parse_digest
from pytest_repro.traces.op_location import Locator

_active_columns: ContextVar[tuple[Columns, ...]] = ContextVar("pytest_repro_traces", default=())


@contextmanager
def trace(thorough: bool = False) -> Iterator[Trace]:
    """Traces the ops of the block: ``with trace() as found: step()``.

    Views and aliases compute nothing and have no entry; nor have ops on meta and fake tensors.
    Where torch is not imported yet when the block begins, only recorded values are traced.

    Args:
        thorough: Whether all inputs of each op are digested, not only those that no traced op
            made. It tells an op that computed something else from memory that was written behind
            torch's back, and takes about as long again.

    Yields:
        The trace; it grows until the block ends.
    """
    columns = Columns()
    token = _active_columns.set((*_active_columns.get(), columns))
    try:
        with _trace_ops(columns, thorough):
            yield Trace(columns)
    finally:
        _active_columns.reset(token)


@contextmanager
def pause_tracing() -> Iterator[None]:
    """A block whose ops do not count: what is made once for all runs."""
    ours = sys.modules.get(f"{__name__}.dispatch_mode")
    with ours.pause_tracing() if ours is not None and _active_columns.get() else nullcontext():
        yield


def trace_value(name: str, digests: tuple[str, ...]) -> None:
    """Adds a value that was recorded to the traces being made by this thread; if none is, nothing.

    Args:
        name: How the trace calls it: ``"record loss[3]"``.
        digests: Hexadecimal, of which the first 16 digits count. They are taken for inputs: a
            value that differs although no op did came from outside torch.
    """
    for columns in _active_columns.get():
        place = Locator(columns.places).locate(sys._getframe(1))
        inputs = [parse_digest(digest) for digest in digests]
        columns.add((columns.names.intern(name), place, NO_FORWARD, (), (), inputs, 0, 0))


def _trace_ops(columns: Columns, thorough: bool) -> AbstractContextManager[None]:
    torch = sys.modules.get("torch")
    # None there forbids an import, and a test may put a mock there.
    if not isinstance(torch, ModuleType) or torch.__spec__ is None:
        return nullcontext()
    from pytest_repro.traces.dispatch_mode import trace_ops

    return trace_ops(columns, thorough)
