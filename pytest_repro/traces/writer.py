"""Adds ops to the columns of a trace. An error in here leaves a gap in the trace, not in the program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import groupby
from types import FrameType
from typing import Any

import torch

from pytest_repro.core.trace.columns import NO_FORWARD, Columns
from pytest_repro.traces.backward_links import BackwardLinks, get_running_node, next_sequence_number
from pytest_repro.traces.digests import (
    DeviceDigest,
    Digest,
    Digester,
    digest_plain,
    fetch_digests,
    hide_from_modes,
)
from pytest_repro.traces.known_memory import KnownMemory
from pytest_repro.traces.op_location import Locator
from pytest_repro.traces.op_reader import (
    OpReader,
    OpRecord,
    digest_generator_state,
    find_default_generator,
)
from pytest_repro.traces.op_schema import OpSchema

count_function_modes: Callable[[], int] = getattr(torch._C, "_len_torch_function_stack", lambda: 1)
"""Number of function modes; a private name, without which there may be some."""

_NULL_CONTEXT = nullcontext()
_MAX_PENDING = 4096  # each digest that was not fetched takes 512 bytes on its device


class PendingDigests:
    """Digests on devices, for which the columns hold 0 until many are fetched at once."""

    __slots__ = ("_columns", "_pending")

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        # Whether it is an output, the index of its op, its index among the op's outputs or inputs.
        self._pending: list[tuple[bool, int, int, DeviceDigest]] = []

    def add_op(self, index: int, outputs: Sequence[Digest], inputs: Sequence[Digest]) -> None:
        """Adds the digests of the op at *index* that are on a device."""
        for is_output, digests in ((True, outputs), (False, inputs)):
            for i, digest in enumerate(digests):
                if isinstance(digest, DeviceDigest):
                    self._pending.append((is_output, index, i, digest))
        if len(self._pending) > _MAX_PENDING:
            self.fetch()

    def fetch(self) -> None:
        """Fetches all digests. Those of a device that fails stay 0."""
        pending, self._pending = self._pending, []
        c = self._columns
        if pending:
            c.flush()
        for _, group in groupby(pending, lambda entry: entry[3].scalar.device):
            entries = list(group)
            try:
                digests = fetch_digests([entry[3] for entry in entries])
            except Exception:
                continue
            for (is_output, index, i, _), digest in zip(entries, digests):
                column, end = (c.output, c.output_end) if is_output else (c.input, c.input_end)
                column[(end[index - 1] if index else 0) + i] = digest


class TraceWriter:
    """Digests inputs and outputs of ops and adds them to *columns*.

    Args:
        thorough: Whether to digest all inputs, not only those from outside.
    """

    __slots__ = (
        "_columns",
        "_digester",
        "_locator",
        "_name_numbers",
        "_pending",
        "_reader",
        "known_memory",
        "links",
    )

    def __init__(self, columns: Columns, thorough: bool) -> None:
        self._columns = columns
        self._digester = Digester(columns.kinds)
        self.known_memory = KnownMemory()
        self._reader = OpReader(self._digester, self.known_memory, thorough)
        self._locator = Locator(columns.places)
        self._pending = PendingDigests(columns)
        self.links = BackwardLinks()
        self._name_numbers: dict[str, int] = {}

    def close(self) -> None:
        """Fetches the digests that are still on devices."""
        self._pending.fetch()

    def write_view(self, frame: FrameType) -> None:
        """Links the autograd node of a view or an alias, which has no entry, to its line."""
        self.links.link_nodes(NO_FORWARD - 1 - self._locator.locate(frame))

    def write_external_data(self, t: Any, frame: FrameType) -> None:
        """Adds the tensor *t*, made from data of numpy or Python."""
        try:
            with hide_from_modes():
                name, kind, digest = self._read_external_data(t)
        except Exception:  # a tensor subclass may raise anything, the program must continue
            return
        if isinstance(digest, int):
            number, location = self._columns.names.intern(name), self._locator.locate(frame)
            self._columns.add((number, location, NO_FORWARD, (digest,), (kind,), (digest,), 0, 0))

    def _read_external_data(self, t: Any) -> tuple[str, int, Digest]:
        if self.known_memory.find_part(t) is not None:
            return "", 0, None
        is_shared = not t.untyped_storage().resizable()
        self.known_memory.add(t)
        return ("from numpy" if is_shared else "from Python", *self._digester.digest_tensor(t))

    def begin_op(self, op: OpSchema, args: tuple[Any, ...], kwargs: dict[str, Any]) -> OpRecord:
        """Reads the inputs of *op* before it can write to them."""
        record = OpRecord()
        try:
            with _hide_from_function_modes():
                self._reader.read_arguments(record, op, args, kwargs)
            if op.draws:
                record.generator = record.generator or find_default_generator(args, kwargs)
                record.draws = digest_generator_state(record.generator, self._digester)
        except Exception:  # as above
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
                self._reader.read_results(record, op, args, kwargs, result)
            if op.may_draw and record.draws == digest_generator_state(record.generator, self._digester):
                record.draws = 0
        except Exception:  # as above
            del record.kinds[len(record.outputs) :]
        if not record.outputs or record.outputs.count(None) < len(record.outputs):
            self._write_op(op, record, frame)

    def try_write_simple_op(self, op: OpSchema, plain_arguments: list[Any], t: Any, frame: FrameType) -> bool:
        """As :meth:`end_op`, for an op without external inputs that returned the tensor *t*.

        Returns:
            False if the op must be added by :meth:`end_op` instead.
        """
        try:
            kind, digest = self._digester.digest_tensor(t)
            if digest is None:
                return False
            (self.known_memory.add if op.writes else self.known_memory.add_result)(t)
        except Exception:  # as above; a sparse tensor has no storage
            return False
        name = self._name_numbers.get(op.name) or self._get_name_number(op)
        is_backward = get_running_node() is not None
        location = self._locator.locate(self.links.find_calling_frame(frame) if is_backward else frame)
        forward = self.links.find_forward_op() if is_backward else NO_FORWARD
        inputs = (digest_plain(plain_arguments),) if plain_arguments else ()
        output = digest if type(digest) is int else 0
        index = self._columns.add((name, location, forward, (output,), (kind,), inputs, 0, 0))
        if next_sequence_number() != self.links.next_node:
            self.links.link_nodes(index)
        if digest is not output:
            self._pending.add_op(index, (digest,), ())
        return True

    def _write_op(self, op: OpSchema, record: OpRecord, frame: FrameType) -> None:
        name, kinds, draws = self._get_name_number(op), record.kinds, record.draws
        outputs: Any = _zero_pending(record.outputs) if record.has_pending else record.outputs
        inputs: Any = _zero_pending(record.inputs) if record.has_pending else record.inputs
        location = self._locator.locate(self.links.find_calling_frame(frame))
        forward = self.links.find_forward_op()
        parts = digest_plain(record.parts) if record.parts else 0
        index = self._columns.add((name, location, forward, outputs, kinds, inputs, draws, parts))
        if next_sequence_number() != self.links.next_node:
            self.links.link_nodes(index)
        if record.has_pending:
            self._pending.add_op(index, record.outputs, record.inputs)

    def _get_name_number(self, op: OpSchema) -> int:
        number = self._name_numbers.get(op.name)
        if number is None:
            number = self._name_numbers[op.name] = self._columns.names.intern(op.name)
        return number


def _hide_from_function_modes() -> AbstractContextManager[object]:
    """Hides our calls from function modes; takes 5 µs if there are any."""
    return hide_from_modes() if count_function_modes() else _NULL_CONTEXT


def _zero_pending(digests: Sequence[Digest]) -> list[int]:
    return [digest if isinstance(digest, int) else 0 for digest in digests]
