"""The dispatch mode, which sees each op and calls it unchanged."""

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
    """Passes every op to a writer."""

    supports_higher_order_operators = True  # torch refuses them otherwise

    def __init__(self, writer: TraceWriter, thorough: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.writer = writer
        self.thorough = thorough
        self.schemas: dict[int, OpSchema] = {}
        self.paused = False

    @classmethod
    def ignore_compile_internals(cls) -> bool:
        """Compiled regions run untraced; torch would not compile them otherwise."""
        return True

    def add_schema(self, op: Any) -> OpSchema:
        """Reads the schema of *op* at its first call."""
        schema = self.schemas[id(op)] = read_schema(op)
        return schema


def _dispatch(
    self: TraceMode, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
) -> Any:
    writer, kwargs = self.writer, kwargs or {}
    if types and any(kind.__torch_dispatch__ is not _DEFAULT_DISPATCH for kind in types):
        if any(kind.__name__ == FAKE_TENSOR for kind in types):
            return func(*args, **kwargs)  # NotImplemented would also skip the mode of fake tensors
        return NotImplemented  # a subclass calls ops on its inner tensors, which come here again
    if self.paused:
        return func(*args, **kwargs)
    op = self.schemas.get(id(func)) or self.add_schema(func)
    if op.untraced:
        result = func(*args, **kwargs)
        if op.reads_external_data:
            writer.write_external_data(result, sys._getframe())
        elif next_sequence_number() != writer.links.next_node:
            writer.write_view(sys._getframe())
        return result
    plain: list[Any] | None = None
    if op.simple and not self.thorough and not count_function_modes():
        plain = writer.known_memory.plain_arguments_if_known((*args, *kwargs.values()) if kwargs else args)
    record = writer.begin_op(op, args, kwargs) if plain is None else OpRecord()
    result = func(*args, **kwargs)
    if plain is not None:
        if type(result) in PLAIN_TENSORS and writer.try_write_simple_op(op, plain, result, sys._getframe()):
            return result
        record.inputs += [digest_plain(plain)] if plain else []
    writer.end_op(op, record, args, kwargs, result, sys._getframe())
    return result


# Not defined in the class body, where torch would wrap it: the wrapper imports torch._dynamo
# (800 modules, 0.75 s) at the first op.
TraceMode.__torch_dispatch__ = _dispatch  # type: ignore[method-assign, assignment]


@contextmanager
def pause_tracing() -> Iterator[None]:
    """In the block, ops are not traced."""
    # A private name: without it, they are traced.
    modes = getattr(_python_dispatch, "_get_current_dispatch_mode_stack", list[Any])()
    trace_modes = [mode for mode in modes if isinstance(mode, TraceMode) and not mode.paused]
    for mode in trace_modes:
        mode.paused = True
    try:
        yield
    finally:
        for mode in trace_modes:
            mode.paused = False


@contextmanager
def trace_ops(columns: Columns, thorough: bool) -> Iterator[None]:
    """In the block, adds every op of this thread to *columns*."""
    writer = TraceWriter(columns, thorough)
    try:
        with TraceMode(writer, thorough):
            yield
    finally:
        writer.close()
