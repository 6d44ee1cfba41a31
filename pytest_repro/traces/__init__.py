"""Traces the ops of torch while they run: digests of what each reads and computes.

A dispatch mode sees every op that this thread calls, and those of its backward passes, on any thread
of autograd. Not traced:

- numpy and Python: their data is digested where it enters torch;
- the user's other threads, and regions compiled by ``torch.compile``: their results are external
  inputs of the first op that reads them. If they write to memory that a traced op made, only a
  thorough trace can tell this from an op that computed something else.

If autograd runs on a thread of a device, the line of the forward op is reported.
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
_is_thorough: ContextVar[bool] = ContextVar("pytest_repro_thorough", default=False)


@contextmanager
def trace(thorough: bool = False) -> Iterator[Trace]:
    """Traces the ops of the block: ``with trace() as ops: step()``.

    Views and aliases compute nothing and have no entry; nor have ops on meta and fake tensors.
    If torch is not imported when the block begins, only recorded values are traced.

    Args:
        thorough: Whether to digest all inputs of each op, not only those that no traced op made.
            This tells an op that computed something else from memory that was written outside
            torch, and takes about twice as long.

    Yields:
        The trace, which grows until the block ends.
    """
    columns = Columns()
    token = _active_columns.set((*_active_columns.get(), columns))
    thorough_token = _is_thorough.set(thorough or _is_thorough.get())
    try:
        with _trace_ops(columns, thorough):
            yield Trace(columns)
    finally:
        _is_thorough.reset(thorough_token)
        _active_columns.reset(token)


def is_traced_thoroughly() -> bool:
    """Whether a thorough trace of this thread is active."""
    return _is_thorough.get()


@contextmanager
def pause_tracing() -> Iterator[None]:
    """In the block, ops are not traced: for what is computed once for all runs."""
    module = sys.modules.get(f"{__name__}.dispatch_mode")
    with module.pause_tracing() if module is not None and _active_columns.get() else nullcontext():
        yield


def trace_value(name: str, digests: tuple[str, ...]) -> None:
    """Adds a recorded value to the active traces of this thread.

    Args:
        name: Its name in the trace: ``"record loss[3]"``.
        digests: Hexadecimal; the first 16 digits count. They are added as inputs: a value that
            differs although no op did came from outside torch.
    """
    for columns in _active_columns.get():
        place = Locator(columns.places).locate(sys._getframe(1))
        inputs = [parse_digest(digest) for digest in digests]
        columns.add((columns.names.intern(name), place, NO_FORWARD, (), (), inputs, 0, 0))


def _trace_ops(columns: Columns, thorough: bool) -> AbstractContextManager[None]:
    torch = sys.modules.get("torch")
    # sys.modules holds None for a forbidden import, and tests put mocks there.
    if not isinstance(torch, ModuleType) or torch.__spec__ is None:
        return nullcontext()
    from pytest_repro.traces.dispatch_mode import trace_ops

    return trace_ops(columns, thorough)
