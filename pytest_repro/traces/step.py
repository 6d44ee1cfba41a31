"""One op: what goes in, read before it runs, and what comes out, read after."""

from __future__ import annotations

from typing import Any

import torch

from pytest_repro.traces.digests import PLAIN_TENSORS, Digest, Digests, has_no_values, plain, unseen
from pytest_repro.traces.known import Known
from pytest_repro.traces.schema import Declared

_NUMBERS = {int, float, bool, str, complex, type(None)}


class Step:
    """One op while it runs.

    Args:
        digests: Digests tensors.
        known: What traced ops made; it learns what is read and made here.
        thorough: Whether all inputs are digested.

    Attributes:
        inputs: Digests of tensors from outside, then of all other arguments together.
        outputs: Digests of what came out, with the numbers of their *kinds*.
        late: Whether a digest still lies on a device.
        generator: A generator among the arguments.
        draws: Digest of the state of the generator it draws from, 0 if it does not.
    """

    __slots__ = (
        "_digests", "_known", "_part", "_plain", "_raw", "_thorough",
        "draws", "forward", "generator", "inputs", "kinds", "late", "new", "outputs", "place",
    )  # fmt: skip

    def __init__(self, digests: Digests, known: Known, thorough: bool) -> None:
        self._digests, self._known, self._thorough = digests, known, thorough
        self._plain: list[object] = []
        self._part: list[object] | None = None
        self._raw = self.late = False
        self.inputs: list[Digest] = []
        self.outputs: list[Digest] = []
        self.kinds: list[int] = []
        self.generator: Any = None
        self.draws = 0
        self.place = self.new = 0
        self.forward = -1

    @property
    def picked(self) -> int:
        """Digest of which parts of tensors are read; 0 where only whole ones are."""
        return plain(self._part) if self._part else 0

    def arguments(self, op: Declared, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Reads all arguments, but for those that *op* only writes to."""
        ignored = op.ignored
        for place, value in enumerate(args):
            if ignored and place in ignored:
                continue
            if type(value) in PLAIN_TENSORS:
                self._read(op, value)
            else:
                self._argument(op, value)
        for name, value in kwargs.items():
            if name not in ignored:
                self._argument(op, value)
        if self._plain:
            self.inputs.append(plain(self._plain))

    def _argument(self, op: Declared, value: Any) -> None:
        kind = type(value)
        if kind in _NUMBERS:
            self._plain.append(value)
        elif kind in PLAIN_TENSORS:
            self._read(op, value)
        elif kind is list or kind is tuple:
            for each in value:
                self._argument(op, each)
        elif isinstance(value, torch.Tensor):
            with unseen():
                self._read(op, value)
        elif isinstance(value, torch.Generator):
            self.generator = value

    def _read(self, op: Declared, t: Any) -> None:
        known = self._known
        try:
            part = known.part(t)
            if part is not None:
                if part:
                    self._part = [*(self._part or ()), *part]
                if not self._thorough:
                    return
            elif op.in_part and known.is_raw(t):
                self._raw = True
                return
            known.seen(t)
        except RuntimeError:
            pass  # it has no storage: a sparse tensor
        self._read_in(self._digests.of(t)[1])

    def _read_in(self, digest: Digest) -> None:
        if digest is not None:
            self.inputs.append(digest)
            self.late = self.late or type(digest) is not int

    def results(self, op: Declared, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """Reads what came out: what is given back, and what else *op* wrote to."""
        self._result(op, result)
        for place in op.mutated:
            if isinstance(place, str):
                self._result(op, kwargs.get(place))
            elif place < len(args):
                self._result(op, args[place])

    def _result(self, op: Declared, value: Any) -> None:
        kind = type(value)
        if kind in PLAIN_TENSORS:
            self._wrote(op, value)
        elif kind is tuple or kind is list:
            for each in value:
                self._result(op, each)
        elif isinstance(value, torch.Tensor):
            with unseen():
                self._wrote(op, value)
        elif value is not None and kind in _NUMBERS:
            number, digest = self._digests.number(value)
            self.kinds.append(number)
            self.outputs.append(digest)

    def _wrote(self, op: Declared, t: Any) -> None:
        if op.empty or self._raw:
            number, digest = self._digests.kind(t), None if has_no_values(t) else 0
        else:
            number, digest = self._digests.of(t)  # type: ignore[assignment]
        self.kinds.append(number)
        self.outputs.append(digest)
        if digest is None:
            return
        self.late = self.late or type(digest) is not int
        try:
            if op.empty:
                self._known.left_raw(t)
            elif not self._raw:
                self._known.made(t)
        except RuntimeError:
            pass  # it has no storage: a sparse tensor
