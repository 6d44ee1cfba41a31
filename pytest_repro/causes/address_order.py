"""Order by ``id()``, or by the hash that an object has by default, which is its address."""

from __future__ import annotations

import builtins
import itertools
import sys
import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar

from pytest_repro.causes import Cause, WatchedFunction
from pytest_repro.core.diagnose.evidence import Evidence
from pytest_repro.core.diagnose.finding import Finding
from pytest_repro.interpose.patch import Patch, copy_identity, patch_everywhere
from pytest_repro.interpose.user_frames import caller_frame, classify_frame, get_module_name

_ID_STEP = 16  # as far apart as objects are at least


def _hashes_by_address(value: Any, *_: Any) -> bool:
    by_address: Any = object.__hash__
    return type(value).__hash__ is by_address


class AddressOrder(Cause):
    """``id()``, and ``hash()`` of objects without one of their own: numbers in order of first asking.

    Out of reach: the order of a set or dict of such objects, text that holds an address
    (``repr(object())``); fresh processes tell. torch keeps the real ``id()``, which its guards
    compare in C++; what was put down by ``id()`` before the block is not found inside it.
    """

    explanation = (
        "an order hangs on the addresses of objects: a set of objects that hash by address, or their repr"
    )
    fix = "sort by something that the objects hold, or take a dict or list instead of the set"
    watched_functions: ClassVar[Sequence[WatchedFunction]] = (
        WatchedFunction(
            "builtins:id",
            "is an address, which is another in each run",
            "number the objects yourself (itertools.count()), or sort by something that they hold",
            "id()",
            reach="line",
        ),
        WatchedFunction(
            "builtins:hash",
            "of an object without __hash__ is its address, which is another in each run",
            "give the class a __hash__ of what it holds, or sort by that",
            "hash()",
            when=_hashes_by_address,
            reach="line",
        ),
        WatchedFunction(
            "torch:Tensor.data_ptr",
            "is an address, which is another in each run",
            "leave it out of what is recorded: for whether two tensors share memory, record that",
            "Tensor.data_ptr()",
            reach="line",
        ),
    )

    def suspend(self, seed: int) -> AbstractContextManager[None]:
        number = _make_numbering(builtins.id)
        return patch_everywhere([_make_id_patch(number), _make_hash_patch(number)])

    def build_finding(self, evidence: Evidence, variant: str = "", detail: str = "") -> Finding:
        said = self.explain(evidence.calls)
        return Finding(self.name, said.location, f"{said.explanation}{detail and '; '}{detail}", said.fix)


def _make_numbering(address: Callable[[object], int]) -> Callable[[object], int]:
    """Numbers objects in the order in which they are asked for.

    An object that cannot be referred to weakly (a list) is kept alive: its address would be
    given to another.
    """
    fresh = itertools.count(_ID_STEP, _ID_STEP)
    known: dict[int, tuple[int, object]] = {}

    def number(value: object) -> int:
        key = address(value)
        found = known.get(key)
        if found is None:
            found = known[key] = next(fresh), _hold_reference(value, lambda _: known.pop(key, None))
        return found[0]

    return number


def _hold_reference(value: object, callback: Callable[[object], object]) -> object:
    try:
        return weakref.ref(value, callback)
    except TypeError:
        return value


def _make_id_patch(number: Callable[[object], int]) -> Patch:
    real = builtins.id

    def number_or_id(value: object, /) -> int:
        keeps = get_module_name(caller_frame(sys._getframe(1))).partition(".")[0] == "torch"
        return real(value) if keeps else number(value)

    return Patch(builtins, "id", copy_identity(number_or_id, real, builtins, "id"))


def _make_hash_patch(number: Callable[[object], int]) -> Patch:
    real = builtins.hash

    def number_or_hash(value: object, /) -> int:
        by_address = _hashes_by_address(value) and classify_frame(caller_frame(sys._getframe(1))) == "user"
        return number(value) // _ID_STEP if by_address else real(value)

    return Patch(builtins, "hash", copy_identity(number_or_hash, real, builtins, "hash"))


cause = AddressOrder()
