"""One op: what goes in, read before it runs, and what comes out, read after."""

from __future__ import annotations

from typing import Any

import torch

from pytest_repro.traces.digests import Digest, Digests, has_no_values, plain, unseen
from pytest_repro.traces.known_memory import ATOMS, PLAIN_TENSORS, Known
from pytest_repro.traces.op_schema import Declared


class Step:
    """One op while it runs.

    Attributes:
        inputs: Digests of tensors from outside, then of all other arguments together.
        outputs: Digests of what came out; *kinds*: numbers of their kinds.
        plain: Arguments that are no tensors.
        part: Which parts of tensors it reads; None where only whole ones.
        raw: Whether it writes to part of a tensor whose rest nobody wrote to.
        late: Whether a digest still lies on a device.
        generator: The generator it draws from.
        draws: Digest of that generator's state before; 0 if it does not draw.
    """

    # Defaults of the class: setting each for every op would take 0.5 µs.
    part: tuple[object, ...] | None = None
    raw = False
    late = False
    generator: Any = None
    draws = 0

    def __init__(self, inputs: list[Digest] | None = None) -> None:
        self.inputs = inputs or []
        self.plain: list[object] = []
        self.outputs: list[Digest] = []
        self.kinds: list[int] = []


class Reading:
    """Reads what goes into ops and what comes out.

    Args:
        digests: Digests tensors.
        known: What traced ops made; it learns what is read and made here.
        thorough: Whether all inputs are digested.
    """

    __slots__ = ("_digests", "_known", "_thorough")

    def __init__(self, digests: Digests, known: Known, thorough: bool) -> None:
        self._digests, self._known, self._thorough = digests, known, thorough

    def arguments(self, step: Step, op: Declared, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Reads all arguments, but for those that *op* only writes to."""
        if op.ignored:
            args = tuple(value for place, value in enumerate(args) if place not in op.ignored)
            kwargs = {name: value for name, value in kwargs.items() if name not in op.ignored}
        for value in args:
            kind = type(value)
            if kind in PLAIN_TENSORS:
                self._read(step, op, value)
            elif kind in ATOMS:
                step.plain.append(value)
            else:
                self._argument(step, op, value)
        for value in kwargs.values():
            self._argument(step, op, value)
        if step.plain:
            step.inputs.append(plain(step.plain))

    def _argument(self, step: Step, op: Declared, value: Any) -> None:
        kind = type(value)
        if kind in ATOMS:
            step.plain.append(value)
        elif kind in PLAIN_TENSORS:
            self._read(step, op, value)
        elif kind is list or kind is tuple:
            step.plain.append(len(value))
            for each in value:
                self._argument(step, op, each)
        elif isinstance(value, torch.Tensor):
            with unseen():
                self._read(step, op, value)
        elif isinstance(value, torch.Generator):
            step.generator = value

    def _read(self, step: Step, op: Declared, t: Any) -> None:
        try:
            part = self._known.part(t)
            if part is not None:
                if part:
                    step.part = (*(step.part or ()), *part)
                if not self._thorough or self._known.is_scratch(t):
                    return
            elif op.in_part and self._known.is_raw(t):
                step.raw = True
                return
            else:
                self._known.seen(t)
        except RuntimeError:
            pass  # it has no storage: a sparse tensor
        digest = self._digests.of(t)[1]
        if digest is not None:
            step.inputs.append(digest)
            step.late = step.late or type(digest) is not int

    def results(
        self, step: Step, op: Declared, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        """Reads what came out: what is given back, and what else *op* wrote to."""
        if type(result) in PLAIN_TENSORS:
            self._wrote(step, op, result)
        elif op.scratch:
            for number, each in enumerate(result):
                (self._left if number in op.scratch else self._result)(step, op, each)
        else:
            self._result(step, op, result)
        for number in op.noise:
            self._known.left_scratch(args[number])
        for place in op.mutated:
            if isinstance(place, str):
                self._result(step, op, kwargs.get(place))
            elif place < len(args):
                self._result(step, op, args[place])

    def _result(self, step: Step, op: Declared, value: Any) -> None:
        kind = type(value)
        if kind in PLAIN_TENSORS:
            self._wrote(step, op, value)
        elif kind is tuple or kind is list:
            for each in value:
                self._result(step, op, each)
        elif isinstance(value, torch.Tensor):
            with unseen():
                self._wrote(step, op, value)
        elif value is not None and kind in ATOMS:
            number, digest = self._digests.number(value)
            step.kinds.append(number)
            step.outputs.append(digest)

    def _left(self, step: Step, op: Declared, t: Any) -> None:
        if isinstance(t, torch.Tensor):
            step.kinds.append(self._digests.kind(t))
            step.outputs.append(None if has_no_values(t) else 0)
            self._known.left_scratch(t)

    def _wrote(self, step: Step, op: Declared, t: Any) -> None:
        if op.empty or step.raw:
            number = self._digests.kind(t)
            digest: Digest = None if has_no_values(t) else 0
        else:
            number, digest = self._digests.of(t)
        step.kinds.append(number)
        step.outputs.append(digest)
        if type(digest) is not int:
            if digest is None:
                return
            step.late = True
        try:
            if op.empty:
                self._known.left_raw(t)
            elif op.writes:
                if not step.raw:
                    self._known.seen(t)
            else:
                self._known.made(t)
        except RuntimeError:
            pass  # it has no storage: a sparse tensor
