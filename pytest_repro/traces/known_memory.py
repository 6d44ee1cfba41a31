"""Tracks which memory holds results of traced ops, or values that were digested before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from weakref import ref

import torch

PLAIN_TENSORS = {torch.Tensor, torch.nn.Parameter}
SCALAR_TYPES = {int, float, bool, str, complex, type(None)}
VALUELESS_TYPES = {torch.dtype, torch.device, torch.layout, torch.memory_format}

_PRUNE_INTERVAL = 1024
# Smallest number of new entries between two searches for dead ones, which take 0.1 µs per entry.

_PARTIAL, _SCRATCH = -1, -2


class KnownMemory:
    """Known storages, by the Python object of each.

    That object lives as long as the memory, so a weak reference to it shows whether the memory is
    still the same. Torch's own weak pointers would fragment the heap, and every large tensor would
    get fresh memory that is not in the cache.

    A view shares its storage with its base and is known with it. Memory that others can write to
    (that of numpy arrays, or exported by ``.numpy()``) is never known: its storage is not resizable.
    """

    __slots__ = ("_known_parts", "_limit", "_raw_ids", "_storages")

    def __init__(self) -> None:
        # By id: the reference, and the number of bytes if all are known, else _PARTIAL or _SCRATCH.
        self._storages: dict[int, tuple[ref[Any], int]] = {}
        self._raw_ids: set[int] = set()  # partly or wholly uninitialized
        self._known_parts: dict[int, set[object]] = {}  # for _PARTIAL
        self._limit = _PRUNE_INTERVAL

    def plain_arguments_if_known(self, args: Iterable[Any]) -> list[Any] | None:
        """The arguments that are no tensors, if all tensors are known and fill their storage; else None.

        A single call instead of one of :meth:`find_part` per tensor: in a training step a function
        call takes 3 µs, since the interpreter's code has left the cache between two ops.
        """
        plain: list[Any] = []
        try:
            for value in args:
                kind = type(value)
                if kind in PLAIN_TENSORS:
                    storage = value.untyped_storage()
                    entry = self._storages.get(id(storage))
                    if entry is None or entry[1] != value.nbytes or entry[0]() is not storage:
                        return None
                    if not storage.resizable():  # type: ignore[union-attr]  # not None: it is *storage*
                        return None
                elif kind in SCALAR_TYPES:
                    plain.append(value)
                elif kind is list and SCALAR_TYPES.issuperset(map(type, value)):
                    plain.append(len(value))
                    plain += value
                elif kind not in VALUELESS_TYPES:
                    return None
        except RuntimeError:  # a sparse tensor has no storage
            return None
        return plain

    def find_part(self, t: Any) -> tuple[object, ...] | None:
        """Which part of its storage the dense tensor *t* is; None if its values are unknown.

        ``()`` if it is the whole storage.
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
        """Whether *t* is in memory that may be uninitialized."""
        storage = t.untyped_storage()
        return self._find_size(storage) is not None and id(storage) in self._raw_ids

    def is_scratch(self, t: Any) -> bool:
        """Whether *t* is in memory whose values do not matter."""
        return self._find_size(t.untyped_storage()) == _SCRATCH

    def add_result(self, t: Any) -> None:
        """Adds *t*, a result of a traced op in new memory, of which no other part matters."""
        storage = t.untyped_storage()
        entry = self._storages.get(id(storage))
        if entry is None or entry[0]() is not storage:
            self._remember(storage, t.nbytes)

    def add(self, t: Any) -> None:
        """Adds *t*, which was digested, or written to by a traced op."""
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
        """Adds *t*, whose memory is uninitialized."""
        storage = t.untyped_storage()
        self._remember(storage, _PARTIAL)
        self._raw_ids.add(id(storage))

    def add_scratch(self, t: Any) -> None:
        """Adds *t*, whose values only matter to its backward op: :attr:`OpSchema.scratch_results`."""
        self._remember(t.untyped_storage(), _SCRATCH)

    def forget(self, t: Any) -> None:
        """Makes the values of *t* unknown: others write to its memory."""
        storage_id = id(t.untyped_storage())
        self._storages.pop(storage_id, None)
        self._forget(storage_id)

    def _find_size(self, storage: Any) -> int | None:
        entry = self._storages.get(id(storage))
        return entry[1] if entry is not None and entry[0]() is storage else None

    def _remember(self, storage: Any, size: int) -> None:
        storage_id = id(storage)
        self._storages[storage_id] = ref(storage), size
        if self._raw_ids or self._known_parts:  # of this storage, or of a dead one with the same id
            self._forget(storage_id)
        if len(self._storages) > self._limit:
            for dead_id in [key for key, entry in list(self._storages.items()) if entry[0]() is None]:
                del self._storages[dead_id]
                self._forget(dead_id)
            self._limit = 2 * len(self._storages) + _PRUNE_INTERVAL

    def _forget(self, storage_id: int) -> None:
        self._raw_ids.discard(storage_id)
        self._known_parts.pop(storage_id, None)


def _part_key(t: Any) -> tuple[object, ...]:
    return t.storage_offset(), tuple(t.shape), t.stride()
