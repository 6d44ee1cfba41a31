"""Order by ``id()``, or by the default hash of an object, which is its address."""

from __future__ import annotations

import builtins
import itertools
import sys
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any

from pytest_repro.causes import Cause, WatchedFunction
from pytest_repro.core.diagnose import Evidence, Finding
from pytest_repro.interpose.patch import Patch, make_patch, patch_everywhere
from pytest_repro.interpose.user_frames import caller_frame, classify_frame, get_module_name

_ID_STEP, _OTHERS_START = 16, 2**40  # the least distance of two objects; the first number for libraries
_ADDRESS = "address, which changes from run to run"
_ID_FIX = "number the objects yourself (itertools.count()), or sort by one of their attributes"
_HASH_EFFECT = f"of an object without __hash__ is its {_ADDRESS}"
_HASH_FIX = "give the class a __hash__ of its attributes, or sort by them"
_POINTER_FIX = "do not record it; to test whether two tensors share memory, record the comparison"


def _hashes_by_address(value: Any, *_: Any) -> bool:
    by_address: Any = object.__hash__
    return type(value).__hash__ is by_address


class AddressOrder(Cause):
    """``id()``, and ``hash()`` of objects without ``__hash__``: suspended, they count objects in call order.

    Not suspended: the order of a set or dict of such objects, and text that contains an address
    (``repr(object())``); fresh processes show these. torch keeps the real ``id()``, which its guards
    compare in C++. A key made with ``id()`` before the block is not found inside it.
    """

    located_by_line = True
    explanation = (
        "an order depends on the addresses of objects: a set of objects that hash by address, or their repr"
    )
    fix = "sort by an attribute of the objects, or use a dict or a list instead of the set"
    watched_functions = (
        WatchedFunction("builtins:id", f"is an {_ADDRESS}", _ID_FIX, "id()", reach="line"),
        WatchedFunction("builtins:hash", _HASH_EFFECT, _HASH_FIX, "hash()", _hashes_by_address, "line"),
        WatchedFunction(
            "torch:Tensor.data_ptr", f"is an {_ADDRESS}", _POINTER_FIX, "Tensor.data_ptr()", reach="line"
        ),
    )

    def suspend(self, seed: int, variant: str = "") -> AbstractContextManager[None]:
        return patch_everywhere(_make_patches(_make_numbering(builtins.id)))

    def build_finding(self, evidence: Evidence, variant: str = "", detail: str = "") -> Finding:
        location, explanation, fix = self.explain(evidence.calls)
        return Finding(self.name, location, f"{explanation}{detail and '; '}{detail}", fix)


def _make_numbering(address: Callable[[object], int]) -> Callable[[object, bool], int]:
    """Numbers objects in the order of the first call for each; those of the user's code and others apart.

    What others call in the first run alone, such as a library that fills a cache, must not shift the numbers
    that the user's code gets. An object without weak references (a list) is kept alive, so that no other
    gets its address.
    """
    fresh, others = itertools.count(_ID_STEP, _ID_STEP), itertools.count(_OTHERS_START, _ID_STEP)
    known: dict[int, tuple[int, object]] = {}

    def number(value: object, is_users: bool) -> int:
        key = address(value)
        entry = known.get(key)
        if entry is None:
            reference = value
            with suppress(TypeError):
                reference = weakref.ref(value, lambda _: known.pop(key, None))
            entry = known[key] = next(fresh if is_users else others), reference
        return entry[0]

    return number


def _make_patches(number: Callable[[object, bool], int]) -> list[Patch]:
    real_id, real_hash = builtins.id, builtins.hash

    def number_or_id(value: object, /) -> int:
        caller = caller_frame(sys._getframe(1))
        in_torch = get_module_name(caller).partition(".")[0] == "torch"
        return real_id(value) if in_torch else number(value, classify_frame(caller) == "user")

    def number_or_hash(value: object, /) -> int:
        by_address = _hashes_by_address(value) and classify_frame(caller_frame(sys._getframe(1))) == "user"
        return number(value, True) // _ID_STEP if by_address else real_hash(value)

    return [make_patch(builtins, "id", number_or_id), make_patch(builtins, "hash", number_or_hash)]


cause = AddressOrder()
