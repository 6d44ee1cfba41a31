"""Order by ``id()``, or by the hash that an object has by default, which is its address."""

from __future__ import annotations

import builtins
import itertools
import sys
import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar

from pytest_repro.causes import Cause, Row
from pytest_repro.core.diagnose.evidence import Evidence
from pytest_repro.core.diagnose.finding import Finding
from pytest_repro.interpose.patch import Swap, renamed, replaced_everywhere
from pytest_repro.interpose.user_frames import asker, module_of, owner_of

_STEP = 16  # as far apart as objects are at least


def _by_address(value: Any, *_: Any) -> bool:
    by_address: Any = object.__hash__
    return type(value).__hash__ is by_address


class AddressOrder(Cause):
    """``id()``, and ``hash()`` of objects without one of their own: numbers in order of first asking.

    Out of reach: the order of a set or dict of such objects, text that holds an address
    (``repr(object())``); fresh processes tell. torch keeps the real ``id()``, which its guards
    compare in C++; what was put down by ``id()`` before the block is not found inside it.
    """

    says = "an order hangs on the addresses of objects: a set of objects that hash by address, or their repr"
    fix = "sort by something that the objects hold, or take a dict or list instead of the set"
    rows: ClassVar[Sequence[Row]] = (
        Row("builtins:id", "is an address, which is another in each run",
            "number the objects yourself (itertools.count()), or sort by something that they hold", "id()",
            reach="line"),
        Row("builtins:hash", "of an object without __hash__ is its address, which is another in each run",
            "give the class a __hash__ of what it holds, or sort by that", "hash()",
            when=_by_address, reach="line"),
        Row("torch:Tensor.data_ptr", "is an address, which is another in each run",
            "leave it out of what is recorded: for whether two tensors share memory, record that",
            "Tensor.data_ptr()", reach="line"),
    )  # fmt: skip

    def suspended(self, seed: int) -> AbstractContextManager[None]:
        number = _numbering(builtins.id)
        return replaced_everywhere([_id(number), _hash(number)])

    def found(self, evidence: Evidence, way: str = "", beside: str = "") -> Finding:
        said = self.explained(evidence.calls)
        return Finding(self.name, said.location, f"{said.explanation}{beside and '; '}{beside}", said.fix)


def _numbering(address: Callable[[object], int]) -> Callable[[object], int]:
    """Numbers objects in the order in which they are asked for.

    An object that cannot be referred to weakly (a list) is kept alive: its address would be
    given to another.
    """
    fresh = itertools.count(_STEP, _STEP)
    known: dict[int, tuple[int, object]] = {}

    def number(value: object) -> int:
        key = address(value)
        found = known.get(key)
        if found is None:
            found = known[key] = next(fresh), _holding(value, lambda _: known.pop(key, None))
        return found[0]

    return number


def _holding(value: object, gone: Callable[[object], object]) -> object:
    try:
        return weakref.ref(value, gone)
    except TypeError:
        return value


def _id(number: Callable[[object], int]) -> Swap:
    real = builtins.id

    def identity(value: object, /) -> int:
        keeps = module_of(asker(sys._getframe(1))).partition(".")[0] == "torch"
        return real(value) if keeps else number(value)

    return Swap(builtins, "id", renamed(identity, real, builtins, "id"))


def _hash(number: Callable[[object], int]) -> Swap:
    real = builtins.hash

    def hashed(value: object, /) -> int:
        by_address = _by_address(value) and owner_of(asker(sys._getframe(1))) == "user"
        return number(value) // _STEP if by_address else real(value)

    return Swap(builtins, "hash", renamed(hashed, real, builtins, "hash"))


cause = AddressOrder()
