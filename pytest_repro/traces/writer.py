"""Writes down one op after the other; whatever fails in here is left out of the trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import FrameType
from typing import Any

import torch

from pytest_repro.core.trace.columns import NO_FORWARD, Columns
from pytest_repro.traces.backward_links import BackwardLinks, get_running_node, next_sequence_number
from pytest_repro.traces.digests import Digest, Digester, digest_plain, hide_from_modes
from pytest_repro.traces.known_memory import KnownMemory, create_known_memory
from pytest_repro.traces.op_generators import digest_generator_state, find_default_generator
from pytest_repro.traces.op_location import Locator
from pytest_repro.traces.op_reader import OpReader, OpRecord
from pytest_repro.traces.op_schema import OpSchema
from pytest_repro.traces.pending_digests import PendingDigests

count_function_modes: Callable[[], int] = getattr(torch._C, "_len_torch_function_stack", lambda: 1)
"""How many modes see what functions of torch are called; a private name, without which: some."""

_NULL_CONTEXT = nullcontext()


class TraceWriter:
    """Digests what goes into ops and what comes out, and adds them to columns.

    Args:
        columns: Where the ops go.
        thorough: Whether all inputs are digested.

    Attributes:
        known_memory: What traced ops made.
        links: What autograd's nodes were made by.
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
    )  # fmt: skip

    def __init__(self, columns: Columns, thorough: bool) -> None:
        self._columns = columns
        self._digester = Digester(columns.kinds)
        with hide_from_modes():
            self.known_memory: KnownMemory = create_known_memory()
        self._reader = OpReader(self._digester, self.known_memory, thorough)
        self._locator = Locator(columns.places)
        self._pending = PendingDigests(columns)
        self.links = BackwardLinks()
        self._name_numbers: dict[str, int] = {}

    def close(self) -> None:
        """Fetches the digests that still lie on devices."""
        self._pending.fetch()

    def write_view(self, frame: FrameType) -> None:
        """A view or an alias made an autograd node: it has no entry, but a line."""
        self.links.link_nodes(NO_FORWARD - 1 - self._locator.locate(frame))

    def write_external_data(self, t: Any, frame: FrameType) -> None:
        """Data of numpy's or Python's became the tensor *t*."""
        try:
            with hide_from_modes():
                name, kind, digest = self._read_external_data(t)
        except Exception:  # somebody else's tensor may do anything; the program must go on
            return
        if isinstance(digest, int):
            number, place = self._columns.names.intern(name), self._locator.locate(frame)
            self._columns.add((number, place, NO_FORWARD, (digest,), (kind,), (digest,), 0, 0))

    def _read_external_data(self, t: Any) -> tuple[str, int, Digest]:
        if self.known_memory.find_part(t) is not None:
            return "", 0, None
        shared = not t.untyped_storage().resizable()
        self.known_memory.add(t)
        return ("from numpy" if shared else "from Python", *self._digester.digest_tensor(t))

    def begin_op(self, op: OpSchema, args: tuple[Any, ...], kwargs: dict[str, Any]) -> OpRecord:
        """Reads what goes into *op*, before it may write there."""
        step = OpRecord()
        try:
            with _hide_from_function_modes():
                self._reader.read_arguments(step, op, args, kwargs)
            if op.draws:
                step.generator = step.generator or find_default_generator(args, kwargs)
                step.draws = digest_generator_state(step.generator, self._digester)
        except Exception:  # as above
            step.inputs.append(0)
        return step

    def end_op(
        self,
        op: OpSchema,
        record: OpRecord,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: Any,
        frame: FrameType,
    ) -> None:
        """Adds *op*, unless all that came out has no values, as on the meta device."""
        try:
            with _hide_from_function_modes():
                self._reader.read_results(record, op, args, kwargs, result)
            if op.may_draw and record.draws == digest_generator_state(record.generator, self._digester):
                record.draws = 0
        except Exception:  # as above
            del record.kinds[len(record.outputs) :]
        if not record.outputs or record.outputs.count(None) < len(record.outputs):
            picked = digest_plain(record.parts) if record.parts else 0
            self._write_op(op, record, frame, picked)

    def try_write_simple_op(self, op: OpSchema, plain_arguments: list[Any], t: Any, frame: FrameType) -> bool:
        """As :meth:`end_op`, for an op that read nothing from outside and gave the tensor *t*.

        Returns:
            False, and nothing is done, where it is not that simple.
        """
        try:
            kind, digest = self._digester.digest_tensor(t)
            if digest is None:
                return False
            (self.known_memory.add if op.writes else self.known_memory.add_result)(t)
        except Exception:  # as above; a sparse tensor has no storage
            return False
        name = self._name_numbers.get(op.name) or self._get_name_number(op)
        backward = get_running_node() is not None
        place = self._locator.locate(self.links.find_calling_frame(frame) if backward else frame)
        forward = self.links.find_forward_op() if backward else NO_FORWARD
        inputs = (digest_plain(plain_arguments),) if plain_arguments else ()
        now = digest if type(digest) is int else 0
        index = self._columns.add((name, place, forward, (now,), (kind,), inputs, 0, 0))
        if next_sequence_number() != self.links.next_node:
            self.links.link_nodes(index)
        if digest is not now:
            self._pending.add_op(index, (digest,), ())
        return True

    def _write_op(self, op: OpSchema, record: OpRecord, frame: FrameType, picked: int) -> None:
        outputs: Any = _zero_pending(record.outputs) if record.has_pending else record.outputs
        inputs: Any = _zero_pending(record.inputs) if record.has_pending else record.inputs
        place, forward = (
            self._locator.locate(self.links.find_calling_frame(frame)),
            self.links.find_forward_op(),
        )
        index = self._columns.add(
            (self._get_name_number(op), place, forward, outputs, record.kinds, inputs, record.draws, picked)
        )
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
    """What hides our reading of tensors from function modes, if there are any; 5 µs then."""
    return hide_from_modes() if count_function_modes() else _NULL_CONTEXT


def _zero_pending(digests: Sequence[Digest]) -> list[int]:
    """What is known of *digests* now; those to come are 0 until then."""
    return [each if isinstance(each, int) else 0 for each in digests]
