"""Which memory holds what traced ops computed, or what was digested before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from weakref import ref

import torch

PLAIN_TENSORS = {torch.Tensor, torch.nn.Parameter}
SCALAR_TYPES = {int, float, bool, str, complex, type(None)}
VALUELESS_TYPES = {torch.dtype, torch.device, torch.layout, torch.memory_format}

_PRUNE_INTERVAL = 1024
# Entries at least between two searches for dead ones, which take 0.1 µs each.

_PARTIAL, _SCRATCH = -1, -2


class KnownMemory:
    """Storages that hold what is known, each by the Python object that stands for it.

    That object lives and dies with the memory itself, so a weak reference to it tells whether the
    memory is still the same; holding torch's own weak pointers would pin their small blocks all
    over the heap, and every large tensor would be given fresh, cold memory.

    Views share the storage of what they view: they are known with it, without being looked at.
    Storages whose memory others can write to (numpy's, or what ``.numpy()`` gave away) are never
    known: torch marks them as not resizable.
    """

    __slots__ = ("_known_parts", "_limit", "_raw_ids", "_storages")

    def __init__(self) -> None:
        # By id: the reference, and the number of bytes where all of them are known, or one of those.
        self._storages: dict[int, tuple[ref[Any], int]] = {}
        self._raw_ids: set[int] = set()  # memory as it happens to be, or partly so
        self._known_parts: dict[int, set[object]] = {}  # what is known of those not wholly known
        self._limit = _PRUNE_INTERVAL

    def plain_arguments_if_known(self, args: Iterable[Any]) -> list[Any] | None:
        """The arguments beside tensors, if those are known and all of their storages; else None.

        It says in one call what :meth:`find_part` would say in many: within a training step, where
        Python's own code has left the cache between two ops, each function takes 3 µs.
        """
        others: list[Any] = []
        try:
            for value in args:
                kind = type(value)
                if kind in PLAIN_TENSORS:
                    storage = value.untyped_storage()
                    held = self._storages.get(id(storage))
                    if held is None or held[1] != value.nbytes or held[0]() is not storage:
                        return None
                    if not storage.resizable():  # type: ignore[union-attr]  # not None: it is *storage*
                        return None
                elif kind in SCALAR_TYPES:
                    others.append(value)
                elif kind is list and SCALAR_TYPES.issuperset(map(type, value)):
                    others.append(len(value))
                    others += value
                elif kind not in VALUELESS_TYPES:
                    return None
        except RuntimeError:  # a sparse tensor: it has no storage
            return None
        return others

    def find_part(self, t: Any) -> tuple[object, ...] | None:
        """None if the values of the dense tensor *t* are unknown, else which part of its storage it is.

        The part is empty for a tensor that is all of its storage.
        """
        storage = t.untyped_storage()
        size = self._find_size(storage)
        if size is None or not storage.resizable():
            return None
        if size in (t.nbytes, _SCRATCH):
            return ()
        part = _part_key(t)
        return part if size != _PARTIAL or part in self._known_parts.get(id(storage), ()) else None

    def is_raw(self, t: Any) -> bool:
        """Whether *t* lies in memory that may hold what happened to be there."""
        storage = t.untyped_storage()
        return self._find_size(storage) is not None and id(storage) in self._raw_ids

    def is_scratch(self, t: Any) -> bool:
        """Whether *t* lies in memory of which nobody needs to know what it holds."""
        return self._find_size(t.untyped_storage()) == _SCRATCH

    def add_result(self, t: Any) -> None:
        """*t* was given new memory by a traced op, and is all that matters in it."""
        storage = t.untyped_storage()
        held = self._storages.get(id(storage))
        if held is None or held[0]() is not storage:
            self._remember(storage, t.nbytes)

    def add(self, t: Any) -> None:
        """*t* came from outside and was digested, or was written to by a traced op."""
        storage = t.untyped_storage()
        size = self._find_size(storage)
        if t.nbytes == storage.nbytes():
            if size != t.nbytes:
                self._remember(storage, t.nbytes)
            return
        if size is None:
            self._remember(storage, _PARTIAL)
        if size is None or size == _PARTIAL:
            self._known_parts.setdefault(id(storage), set()).add(_part_key(t))

    def add_raw(self, t: Any) -> None:
        """*t* was given memory that nobody wrote to."""
        storage = t.untyped_storage()
        self._remember(storage, _PARTIAL)
        self._raw_ids.add(id(storage))

    def add_scratch(self, t: Any) -> None:
        """*t* is for the op alone that will read it: :data:`Declared.scratch`."""
        self._remember(t.untyped_storage(), _SCRATCH)

    def _find_size(self, storage: Any) -> int | None:
        held = self._storages.get(id(storage))
        return held[1] if held is not None and held[0]() is storage else None

    def _remember(self, storage: Any, size: int) -> None:
        at = id(storage)
        self._storages[at] = ref(storage), size
        if self._raw_ids or self._known_parts:  # of this storage, or of a dead one that had its id
            self._forget(at)
        if len(self._storages) > self._limit:
            for each in [at for at, held in list(self._storages.items()) if held[0]() is None]:
                del self._storages[each]
                self._forget(each)
            self._limit = 2 * len(self._storages) + _PRUNE_INTERVAL

    def _forget(self, storage_id: int) -> None:
        self._raw_ids.discard(storage_id)
        self._known_parts.pop(storage_id, None)


class NoKnownMemory(KnownMemory):
    """Stands in where storages cannot be told apart: nothing is known of any."""

    __slots__ = ()

    def plain_arguments_if_known(self, args: Iterable[Any]) -> list[Any] | None:
        return None

    def find_part(self, t: Any) -> tuple[object, ...] | None:
        return None

    def is_raw(self, t: Any) -> bool:
        return False

    is_scratch = is_raw

    def add(self, t: Any) -> None:
        return None

    add_result = add_raw = add_scratch = add


def create_known_memory() -> KnownMemory:
    """Nothing known yet."""
    t = torch.empty(1, device="cpu")
    # Where torch makes a new object each time it is asked for a storage, none can be told apart.
    return KnownMemory() if t.untyped_storage() is t.untyped_storage() else NoKnownMemory()


def _part_key(t: Any) -> tuple[object, ...]:
    return t.storage_offset(), tuple(t.shape), t.stride()
