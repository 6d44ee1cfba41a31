"""Reads the inputs of an op before it runs, and its outputs after."""

from __future__ import annotations

from typing import Any

import torch

from pytest_repro.traces.digests import Digest, Digester, digest_plain, has_no_values, hide_from_modes
from pytest_repro.traces.known_memory import PLAIN_TENSORS, SCALAR_TYPES, KnownMemory
from pytest_repro.traces.op_schema import OpSchema


class OpRecord:
    """One op while it runs.

    Attributes:
        inputs: Digests of external tensors, then one of all other arguments together.
        outputs: Digests of results and of written arguments; *kinds*: numbers of their kinds.
        plain_arguments: Arguments that are no tensors.
        writes_raw: Whether it writes to part of a tensor whose rest is uninitialized.
        has_pending: Whether a digest is still on a device.
        draws: Digest of the state of *generator* before; 0 if the op does not draw.
    """

    # Class attributes, since setting these for every op takes 0.5 µs.
    parts: tuple[object, ...] | None = None  # which parts of tensors it reads; None if only whole tensors
    writes_raw = False
    has_pending = False
    generator: Any = None
    draws = 0

    def __init__(self) -> None:
        self.inputs: list[Digest] = []
        self.plain_arguments: list[object] = []
        self.outputs: list[Digest] = []
        self.kinds: list[int] = []


class OpReader:
    """Reads inputs and outputs of ops, and adds them to *known_memory*.

    Args:
        thorough: Whether to digest all inputs, not only those from outside.
    """

    __slots__ = ("_digester", "_known_memory", "_thorough")

    def __init__(self, digester: Digester, known_memory: KnownMemory, thorough: bool) -> None:
        self._digester, self._known_memory, self._thorough = digester, known_memory, thorough

    def read_arguments(
        self, record: OpRecord, op: OpSchema, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Reads all arguments except those that *op* only writes to."""
        if op.write_only_arguments:
            args = tuple(value for i, value in enumerate(args) if i not in op.write_only_arguments)
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
            for item in value:
                self._read_argument(record, op, item)
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
            pass  # a sparse tensor has no storage
        digest = self._digester.digest_tensor(t)[1]
        if digest is not None:
            record.inputs.append(digest)
            record.has_pending = record.has_pending or type(digest) is not int

    def read_results(
        self, record: OpRecord, op: OpSchema, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        """Reads the result, and the arguments that *op* wrote to without returning them."""
        if type(result) in PLAIN_TENSORS:
            self._read_output(record, op, result)
        elif op.scratch_results:
            for i, item in enumerate(result):
                if i in op.scratch_results:
                    self._read_scratch_result(record, item)
                else:
                    self._read_result(record, op, item)
        else:
            self._read_result(record, op, result)
        for i in op.scratch_arguments:
            self._known_memory.add_scratch(args[i])
        for position in op.unreturned_arguments:
            if isinstance(position, str):
                self._read_result(record, op, kwargs.get(position))
            elif position < len(args):
                self._read_result(record, op, args[position])

    def _read_result(self, record: OpRecord, op: OpSchema, value: Any) -> None:
        kind = type(value)
        if kind in PLAIN_TENSORS:
            self._read_output(record, op, value)
        elif kind is tuple or kind is list:
            for item in value:
                self._read_result(record, op, item)
        elif isinstance(value, torch.Tensor):
            with hide_from_modes():
                self._read_output(record, op, value)
        elif value is not None and kind in SCALAR_TYPES:
            number, digest = self._digester.digest_scalar(value)
            record.kinds.append(number)
            record.outputs.append(digest)

    def _read_scratch_result(self, record: OpRecord, t: Any) -> None:
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
            pass  # a sparse tensor has no storage


def digest_generator_state(generator: Any, digester: Digester) -> int:
    """Digest of the state of *generator*; 0 if it cannot be read, as while CUDA captures a graph."""
    try:
        with hide_from_modes():
            digest = digester.digest_tensor(generator.get_state())[1]
            return digest if isinstance(digest, int) else 0
    except Exception:
        return 0


def find_default_generator(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The default generator of the device on which an op with these arguments runs."""
    device = kwargs.get("device") or next((a.device for a in args if isinstance(a, torch.Tensor)), "cpu")
    device = torch.device(device)
    if device.type == "cpu":
        return torch.default_generator
    if device.type == "mps":
        return torch.mps._get_default_mps_generator()
    module = getattr(torch, device.type, None)
    generators = getattr(module, "default_generators", ())
    index = device.index if device.index is not None or module is None else module.current_device()
    return generators[index] if index is not None and index < len(generators) else None
