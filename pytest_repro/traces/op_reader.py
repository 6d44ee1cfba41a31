"""One op: what goes in, read before it runs, and what comes out, read after."""

from __future__ import annotations

from typing import Any

import torch

from pytest_repro.traces.digests import Digest, Digester, digest_plain, has_no_values, hide_from_modes
from pytest_repro.traces.known_memory import PLAIN_TENSORS, SCALAR_TYPES, KnownMemory
from pytest_repro.traces.op_schema import OpSchema


class OpRecord:
    """One op while it runs.

    Attributes:
        inputs: Digests of tensors from outside, then of all other arguments together.
        outputs: Digests of what came out; *kinds*: numbers of their kinds.
        plain_arguments: Arguments that are no tensors.
        parts: Which parts of tensors it reads; None where only whole ones.
        writes_raw: Whether it writes to part of a tensor whose rest nobody wrote to.
        has_pending: Whether a digest still lies on a device.
        generator: The generator it draws from.
        draws: Digest of that generator's state before; 0 if it does not draw.
    """

    # Defaults of the class: setting each for every op would take 0.5 µs.
    parts: tuple[object, ...] | None = None
    writes_raw = False
    has_pending = False
    generator: Any = None
    draws = 0

    def __init__(self, inputs: list[Digest] | None = None) -> None:
        self.inputs = inputs or []
        self.plain_arguments: list[object] = []
        self.outputs: list[Digest] = []
        self.kinds: list[int] = []


class OpReader:
    """Reads what goes into ops and what comes out.

    Args:
        digester: Digests tensors.
        known_memory: What traced ops made; it learns what is read and made here.
        thorough: Whether all inputs are digested.
    """

    __slots__ = ("_digester", "_known_memory", "_thorough")

    def __init__(self, digester: Digester, known_memory: KnownMemory, thorough: bool) -> None:
        self._digester, self._known_memory, self._thorough = digester, known_memory, thorough

    def read_arguments(
        self, record: OpRecord, op: OpSchema, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Reads all arguments, but for those that *op* only writes to."""
        if op.write_only_arguments:
            args = tuple(value for place, value in enumerate(args) if place not in op.write_only_arguments)
            kwargs = {name: value for name, value in kwargs.items() if name not in op.write_only_arguments}
        for value in args:
            kind = type(value)
            if kind in PLAIN_TENSORS:
                self._read_tensor(record, op, value)
            elif kind in SCALAR_TYPES:
                record.plain_arguments.append(value)
            else:
                self._read_argument(record, op, value)
        for value in kwargs.values():
            self._read_argument(record, op, value)
        if record.plain_arguments:
            record.inputs.append(digest_plain(record.plain_arguments))

    def _read_argument(self, record: OpRecord, op: OpSchema, value: Any) -> None:
        kind = type(value)
        if kind in SCALAR_TYPES:
            record.plain_arguments.append(value)
        elif kind in PLAIN_TENSORS:
            self._read_tensor(record, op, value)
        elif kind is list or kind is tuple:
            record.plain_arguments.append(len(value))
            for each in value:
                self._read_argument(record, op, each)
        elif isinstance(value, torch.Tensor):
            with hide_from_modes():
                self._read_tensor(record, op, value)
        elif isinstance(value, torch.Generator):
            record.generator = value

    def _read_tensor(self, record: OpRecord, op: OpSchema, t: Any) -> None:
        try:
            part = self._known_memory.find_part(t)
            if part is not None:
                if part:
                    record.parts = (*(record.parts or ()), *part)
                if not self._thorough or self._known_memory.is_scratch(t):
                    return
            elif op.writes_partially and self._known_memory.is_raw(t):
                record.writes_raw = True
                return
            else:
                self._known_memory.add(t)
        except RuntimeError:
            pass  # it has no storage: a sparse tensor
        digest = self._digester.digest_tensor(t)[1]
        if digest is not None:
            record.inputs.append(digest)
            record.has_pending = record.has_pending or type(digest) is not int

    def read_results(
        self, record: OpRecord, op: OpSchema, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        """Reads what came out: what is given back, and what else *op* wrote to."""
        if type(result) in PLAIN_TENSORS:
            self._read_output(record, op, result)
        elif op.scratch_results:
            for number, each in enumerate(result):
                (self._read_scratch_result if number in op.scratch_results else self._read_result)(
                    record, op, each
                )
        else:
            self._read_result(record, op, result)
        for number in op.scratch_arguments:
            self._known_memory.add_scratch(args[number])
        for place in op.unreturned_arguments:
            if isinstance(place, str):
                self._read_result(record, op, kwargs.get(place))
            elif place < len(args):
                self._read_result(record, op, args[place])

    def _read_result(self, record: OpRecord, op: OpSchema, value: Any) -> None:
        kind = type(value)
        if kind in PLAIN_TENSORS:
            self._read_output(record, op, value)
        elif kind is tuple or kind is list:
            for each in value:
                self._read_result(record, op, each)
        elif isinstance(value, torch.Tensor):
            with hide_from_modes():
                self._read_output(record, op, value)
        elif value is not None and kind in SCALAR_TYPES:
            number, digest = self._digester.digest_scalar(value)
            record.kinds.append(number)
            record.outputs.append(digest)

    def _read_scratch_result(self, record: OpRecord, op: OpSchema, t: Any) -> None:
        if isinstance(t, torch.Tensor):
            record.kinds.append(self._digester.kind_number(t))
            record.outputs.append(None if has_no_values(t) else 0)
            self._known_memory.add_scratch(t)

    def _read_output(self, record: OpRecord, op: OpSchema, t: Any) -> None:
        if op.returns_raw or record.writes_raw:
            number = self._digester.kind_number(t)
            digest: Digest = None if has_no_values(t) else 0
        else:
            number, digest = self._digester.digest_tensor(t)
        record.kinds.append(number)
        record.outputs.append(digest)
        if type(digest) is not int:
            if digest is None:
                return
            record.has_pending = True
        try:
            if op.returns_raw:
                self._known_memory.add_raw(t)
            elif op.writes:
                if not record.writes_raw:
                    self._known_memory.add(t)
            else:
                self._known_memory.add_result(t)
        except RuntimeError:
            pass  # it has no storage: a sparse tensor
