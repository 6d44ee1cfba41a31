"""The dispatch mode: sees each op and calls it as if nobody watched."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils import _python_dispatch
from torch.utils._python_dispatch import TorchDispatchMode

from pytest_repro.core.trace.columns import Columns
from pytest_repro.traces.backward_links import next_sequence_number
from pytest_repro.traces.digests import FAKE_TENSOR, digest_plain
from pytest_repro.traces.known_memory import PLAIN_TENSORS
from pytest_repro.traces.op_reader import OpRecord
from pytest_repro.traces.op_schema import OpSchema, read_schema
from pytest_repro.traces.writer import TraceWriter, count_function_modes

_DEFAULT_DISPATCH = torch.Tensor.__torch_dispatch__


class TraceMode(TorchDispatchMode):
    """Has every op written down."""

    supports_higher_order_operators = True  # without it, torch refuses them under a mode

    def __init__(self, writer: TraceWriter, thorough: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.writer = writer
        self.thorough = thorough
        self.schemas: dict[int, OpSchema] = {}
        self.paused = False

    @classmethod
    def ignore_compile_internals(cls) -> bool:
        """Compiled regions run as they do without us, unseen; else torch would not compile them."""
        return True

    def add_schema(self, op: Any) -> OpSchema:
        """What is declared of *op*."""
        found = self.schemas[id(op)] = read_schema(op)
        return found


def _dispatch(
    self: TraceMode, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
) -> Any:
    writing, kwargs = self.writer, kwargs or {}
    if types and any(each.__torch_dispatch__ is not _DEFAULT_DISPATCH for each in types):
        if any(each.__name__ == FAKE_TENSOR for each in types):
            return func(*args, **kwargs)  # it has no values, and its mode below may not be declined
        return NotImplemented  # it calls ops on the tensors inside, which come here again
    if self.paused:
        return func(*args, **kwargs)
    op = self.schemas.get(id(func)) or self.add_schema(func)
    if op.untraced:
        result = func(*args, **kwargs)
        if op.reads_external_data:
            writing.write_external_data(result, sys._getframe())
        elif next_sequence_number() != writing.links.next_node:
            writing.write_view(sys._getframe())
        return result
    others: list[Any] | None = None
    if op.simple and not self.thorough and not count_function_modes():
        others = writing.known_memory.plain_arguments_if_known((*args, *kwargs.values()) if kwargs else args)
    step = writing.begin_op(op, args, kwargs) if others is None else OpRecord()
    result = func(*args, **kwargs)
    if others is not None:
        if type(result) in PLAIN_TENSORS and writing.try_write_simple_op(op, others, result, sys._getframe()):
            return result
        step.inputs += [digest_plain(others)] if others else []
    writing.end_op(op, step, args, kwargs, result, sys._getframe())
    return result


# Set after the class is made: torch wraps what is defined in its body, and the wrapper imports
# torch._dynamo, 800 modules and 0.75 s, at the first op.
TraceMode.__torch_dispatch__ = _dispatch  # type: ignore[method-assign, assignment]


@contextmanager
def pause_tracing() -> Iterator[None]:
    """A block whose ops are not written down."""
    # A private name: where it is gone, such ops are written down.
    modes = getattr(_python_dispatch, "_get_current_dispatch_mode_stack", list[Any])()
    ours = [mode for mode in modes if isinstance(mode, TraceMode) and not mode.paused]
    for mode in ours:
        mode.paused = True
    try:
        yield
    finally:
        for mode in ours:
            mode.paused = False


@contextmanager
def trace_ops(columns: Columns, thorough: bool) -> Iterator[None]:
    """Has every op of this thread written to *columns*."""
    writing = TraceWriter(columns, thorough)
    try:
        with TraceMode(writing, thorough):
            yield
    finally:
        writing.close()
