"""The dispatch mode, which sees each op, calls it unchanged and adds it to the columns of a trace.

An error in here leaves a gap in the trace, not in the program: a tensor subclass may raise anything.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType
from typing import Any

import torch
from torch.utils import _python_dispatch
from torch.utils._python_dispatch import TorchDispatchMode

from pytest_repro.core.trace.columns import NO_FORWARD, Columns
from pytest_repro.traces.backward_links import BackwardLinks, get_running_node, next_sequence_number
from pytest_repro.traces.collectives import CollectiveReader
from pytest_repro.traces.digests import (
    FAKE_TENSOR,
    Digest,
    Digester,
    PendingDigests,
    digest_plain,
    hide_from_modes,
)
from pytest_repro.traces.known_memory import PLAIN_TENSORS, KnownMemory
from pytest_repro.traces.op_location import Locator
from pytest_repro.traces.op_reader import OpReader, OpRecord, digest_generator_state, find_default_generator
from pytest_repro.traces.op_schema import OpSchema, read_schema

_count_function_modes: Callable[[], int] = getattr(torch._C, "_len_torch_function_stack", lambda: 1)
# A private name, without which there may be some.

_DEFAULT_DISPATCH = torch.Tensor.__torch_dispatch__
_NULL_CONTEXT = nullcontext()


class TraceMode(TorchDispatchMode):
    """Digests inputs and outputs of ops and adds them to *columns*.

    Args:
        thorough: Whether to digest all inputs, not only those from outside.
    """

    supports_higher_order_operators = True  # torch refuses them otherwise

    def __init__(self, columns: Columns, thorough: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.columns, self.thorough, self.paused = columns, thorough, False
        self.pending = PendingDigests(columns)
        self.digester, self.known_memory = Digester(columns.kinds), KnownMemory()
        self.reader = OpReader(self.digester, self.known_memory, thorough)
        self.locator, self.links = Locator(columns.places), BackwardLinks()
        self.collectives = CollectiveReader(self)
        self.schemas: dict[int, OpSchema] = {}
        self.name_numbers: dict[str, int] = {}

    @classmethod
    def ignore_compile_internals(cls) -> bool:
        """Compiled regions run untraced; torch would not compile them otherwise."""
        return True

    def add_schema(self, op: Any) -> OpSchema:
        """Reads the schema of *op* at its first call."""
        schema = self.schemas[id(op)] = read_schema(op)
        return schema

    def number_name(self, name: str) -> int:
        """The number of the name of an op; cheaper than the lock of the table."""
        number = self.name_numbers.get(name)
        if number is None:
            number = self.name_numbers[name] = self.columns.names.intern(name)
        return number

    def add_view(self, frame: FrameType) -> None:
        """Links the autograd node of a view or an alias, which has no entry, to its line."""
        self.links.link_nodes(NO_FORWARD - 1 - self.locator.locate(frame))

    def add_external_data(self, t: Any, frame: FrameType) -> None:
        """Adds the tensor *t*, made from data of numpy or Python."""
        try:
            with hide_from_modes():
                if self.known_memory.find_part(t) is not None:
                    return
                is_shared = not t.untyped_storage().resizable()
                self.known_memory.add(t)
                kind, digest = self.digester.digest_tensor(t)
        except Exception:
            return
        if isinstance(digest, int):
            name = self.columns.names.intern("from numpy" if is_shared else "from Python")
            location = self.locator.locate(frame)
            self.columns.add((name, location, NO_FORWARD, (digest,), (kind,), (digest,), 0, 0))

    def begin_op(self, op: OpSchema, args: tuple[Any, ...], kwargs: dict[str, Any]) -> OpRecord:
        """Reads the inputs of *op* before it can write to them."""
        record = OpRecord()
        try:
            with _hide_from_function_modes():
                self.reader.read_arguments(record, op, args, kwargs)
            if op.draws:
                record.generator = record.generator or find_default_generator(args, kwargs)
                record.draws = digest_generator_state(record.generator, self.digester)
        except Exception:
            record.inputs.append(0)
        return record

    def end_op(
        self,
        op: OpSchema,
        record: OpRecord,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: Any,
        frame: FrameType,
    ) -> None:
        """Adds *op*, unless no output has values, as on the meta device."""
        try:
            with _hide_from_function_modes():
                self.reader.read_results(record, op, args, kwargs, result)
            if op.may_draw and record.draws == digest_generator_state(record.generator, self.digester):
                record.draws = 0
        except Exception:
            del record.kinds[len(record.outputs) :]
        if record.outputs and record.outputs.count(None) == len(record.outputs):
            return
        outputs: Any = _zero_pending(record.outputs) if record.has_pending else record.outputs
        inputs: Any = _zero_pending(record.inputs) if record.has_pending else record.inputs
        location = self.locator.locate(self.links.find_calling_frame(frame))
        forward = self.links.find_forward_op()
        parts = digest_plain(record.parts) if record.parts else 0
        name = self.number_name(op.name)
        index = self.columns.add(
            (name, location, forward, outputs, record.kinds, inputs, record.draws, parts)
        )
        if next_sequence_number() != self.links.next_node:
            self.links.link_nodes(index)
        if record.has_pending:
            self.pending.add_op(index, record.outputs, record.inputs)

    def try_add_simple_op(self, op: OpSchema, plain_arguments: list[Any], t: Any, frame: FrameType) -> bool:
        """As :meth:`end_op`, for an op without external inputs that returned the tensor *t*.

        Returns:
            False if the op must be added by :meth:`end_op` instead.
        """
        try:
            kind, digest = self.digester.digest_tensor(t)
            if digest is None:
                return False
            (self.known_memory.add if op.writes else self.known_memory.add_result)(t)
        except Exception:  # also a sparse tensor, which has no storage
            return False
        is_backward = get_running_node() is not None
        location = self.locator.locate(self.links.find_calling_frame(frame) if is_backward else frame)
        forward = self.links.find_forward_op() if is_backward else NO_FORWARD
        inputs = (digest_plain(plain_arguments),) if plain_arguments else ()
        output = digest if type(digest) is int else 0
        name = self.name_numbers.get(op.name) or self.number_name(op.name)
        index = self.columns.add((name, location, forward, (output,), (kind,), inputs, 0, 0))
        if next_sequence_number() != self.links.next_node:
            self.links.link_nodes(index)
        if digest is not output:
            self.pending.add_op(index, (digest,), ())
        return True


def _hide_from_function_modes() -> AbstractContextManager[object]:
    """Hides our calls from function modes; takes 5 µs if there are any."""
    return hide_from_modes() if _count_function_modes() else _NULL_CONTEXT


def _zero_pending(digests: Sequence[Digest]) -> list[int]:
    return [digest if isinstance(digest, int) else 0 for digest in digests]


def _dispatch(
    self: TraceMode, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
) -> Any:
    kwargs = kwargs or {}
    if types and any(kind.__torch_dispatch__ is not _DEFAULT_DISPATCH for kind in types):
        if any(kind.__name__ == FAKE_TENSOR for kind in types):
            return func(*args, **kwargs)  # NotImplemented would also skip the mode of fake tensors
        return NotImplemented  # a subclass calls ops on its inner tensors, which come here again
    if self.paused:
        return func(*args, **kwargs)
    op = self.schemas.get(id(func)) or self.add_schema(func)
    if self.collectives.open:
        self.collectives.settle()
    if op.untraced:
        if op.is_collective:
            return self.collectives.call(op, func, args, kwargs, sys._getframe())
        result = func(*args, **kwargs)
        if op.reads_external_data:
            self.add_external_data(result, sys._getframe())
        elif next_sequence_number() != self.links.next_node:
            self.add_view(sys._getframe())
        return result
    plain: list[Any] | None = None
    if op.simple and not self.thorough and not _count_function_modes():
        plain = self.known_memory.plain_arguments_if_known((*args, *kwargs.values()) if kwargs else args)
    record = self.begin_op(op, args, kwargs) if plain is None else OpRecord()
    result = func(*args, **kwargs)
    if plain is not None:
        if type(result) in PLAIN_TENSORS and self.try_add_simple_op(op, plain, result, sys._getframe()):
            return result
        record.inputs += [digest_plain(plain)] if plain else []
    self.end_op(op, record, args, kwargs, result, sys._getframe())
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
    mode = TraceMode(columns, thorough)
    try:
        with mode:
            yield
    finally:
        mode.collectives.settle()
        mode.pending.fetch()
