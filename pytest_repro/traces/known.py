"""Which memory holds what traced ops computed, or what was digested before."""

from __future__ import annotations

from typing import Any

import torch

_storage: Any = torch.UntypedStorage
_CAN_TELL = all(hasattr(_storage, each) for each in ("_cdata", "_weak_ref", "_expired", "_free_weak_ref"))
# Private names: where one is gone every input is taken for unknown, as in a thorough trace.

_SWEEP = 1024
# Storages at least between two searches for dead ones, which take 0.15 µs each.


class Known:
    """Storages by address, of which each is held weakly, so that none other takes its address.

    Views share the storage of what they view: they are known with it, without being looked at.
    Storages whose memory others can write to (numpy's, or what ``.numpy()`` gave away) are never
    known: torch marks them as not resizable.
    """

    __slots__ = ("_all", "_limit", "_parts", "_raw")

    def __init__(self) -> None:
        self._all: set[int] = set()
        self._raw: set[int] = set()  # memory as it happens to be, or partly so
        self._parts: dict[int, set[object]] = {}  # of storages of which only parts were seen
        self._limit = _SWEEP

    def part(self, t: Any) -> tuple[object, ...] | None:
        """None if the values of the dense tensor *t* are unknown, else which part of its storage it is.

        The part is empty for a tensor that is all of its storage.
        """
        storage = t.untyped_storage()
        address = storage._cdata
        if address not in self._all or not storage.resizable():
            return None
        found = () if t.nbytes == storage.nbytes() else _part(t)
        if address not in self._parts and address not in self._raw:
            return found
        return found if found in self._parts.get(address, ()) else None

    def is_raw(self, t: Any) -> bool:
        """Whether *t* lies in memory that may hold what happened to be there."""
        return t.untyped_storage()._cdata in self._raw

    def seen(self, t: Any) -> None:
        """*t* came from outside and was digested."""
        storage = t.untyped_storage()
        if not self._held(storage) or storage._cdata in self._parts or storage._cdata in self._raw:
            if t.nbytes == storage.nbytes():
                self._whole(storage._cdata)
            else:
                self._parts.setdefault(storage._cdata, set()).add(_part(t))

    def made(self, t: Any) -> None:
        """*t* was computed by a traced op."""
        storage = t.untyped_storage()
        address = storage._cdata
        if address in self._all:
            if (address in self._raw or address in self._parts) and t.nbytes == storage.nbytes():
                self._whole(address)
        else:
            self._held(storage)
            if t.nbytes != storage.nbytes():
                self._parts[address] = {_part(t)}

    def left_raw(self, t: Any) -> None:
        """*t* was given memory that nobody wrote to."""
        storage = t.untyped_storage()
        self._held(storage)
        self._raw.add(storage._cdata)

    def _whole(self, address: int) -> None:
        self._raw.discard(address)
        self._parts.pop(address, None)

    def _held(self, storage: Any) -> bool:
        """Whether *storage* was held already; it is from now on."""
        if storage._cdata in self._all:
            return True
        self._all.add(storage._weak_ref())
        if len(self._all) > self._limit:
            self._sweep()
        return False

    def _sweep(self) -> None:
        for address in [each for each in list(self._all) if _storage._expired(each)]:
            self._drop(address)
        self._limit = 2 * len(self._all) + _SWEEP

    def _drop(self, address: int) -> None:
        self._all.discard(address)
        self._whole(address)
        _storage._free_weak_ref(address)

    def close(self) -> None:
        """Lets go of every storage."""
        for address in list(self._all):
            self._drop(address)


class Nothing(Known):
    """Stands in where storages cannot be told apart: nothing is known of any."""

    __slots__ = ()

    def part(self, t: Any) -> tuple[object, ...] | None:
        return None

    def is_raw(self, t: Any) -> bool:
        return False

    def seen(self, t: Any) -> None:
        return None

    made = left_raw = seen


def known() -> Known:
    """Nothing known yet."""
    return Known() if _CAN_TELL else Nothing()


def _part(t: Any) -> tuple[object, ...]:
    return t.storage_offset(), tuple(t.shape), t.stride()
