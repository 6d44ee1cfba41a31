"""Where the generators of a ``DataLoader``'s workers stand, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from itertools import islice
from typing import Any, NamedTuple

from torch.utils.data import get_worker_info

from pytest_repro.adapters._find_generators import Seen, seen, users_globals


class Told(NamedTuple):
    """What a worker tells of a batch, in the place of the batch.

    Attributes:
        worker: Its number, from 0; 0 where the loader has none.
        before: Where each generator stood before, as a digest, by name.
        after: Where each stands once the batch is loaded.
    """

    worker: int
    before: dict[str, str]
    after: dict[str, str]


def _seen(dataset: object) -> list[Seen]:
    return seen([("dataset", dataset), *users_globals()])


def _places(dataset: object) -> dict[str, str]:
    found = ((each.name, each.adapter.standing(each.generator)) for each in _seen(dataset))
    return {name: blake2b((place or "").encode(), digest_size=16).hexdigest() for name, place in found}


class _Listener:
    """Stands in for a loader's ``worker_init_fn`` and ``collate_fn``; goes to the workers with them."""

    def __init__(self, loader: Any) -> None:
        self._init, self._collate, self._dataset = loader.worker_init_fn, loader.collate_fn, loader.dataset
        self._before: dict[str, str] = {}

    def begin(self, worker: int) -> None:
        if self._init is not None:
            self._init(worker)
        self.look()

    def look(self) -> None:
        info = get_worker_info()
        # A worker has a copy of the data set, and its init function may have put another one there.
        self._dataset = self._dataset if info is None else info.dataset
        self._before = _places(self._dataset)

    def collate(self, items: Any) -> Told:
        self._collate(items)  # which may draw, too; what it gives need not be sent
        info, before = get_worker_info(), self._before
        self._before = _places(self._dataset)
        return Told(0 if info is None else info.id, before, self._before)


def epochs_told(loader: Any, epochs: int, batches: int) -> Iterator[list[Told]]:
    """What is told of each epoch; the loader, and each generator of this process, end as they were.

    Args:
        loader: A ``DataLoader``.
        epochs: Number of epochs.
        batches: Number of batches of each that are loaded at most.
    """
    with _heard(loader) as listener, _standing(loader.dataset):
        for _ in range(epochs):
            batch = iter(loader)
            if not loader.num_workers:
                listener.look()
            yield list(islice(batch, batches))


@contextmanager
def _heard(loader: Any) -> Iterator[_Listener]:
    listener, persistent = _Listener(loader), hasattr(loader, "_iterator")
    before = loader.worker_init_fn, loader.collate_fn, getattr(loader, "_iterator", None)
    try:
        loader.worker_init_fn, loader.collate_fn = listener.begin, listener.collate
        if persistent:  # workers that are there already know nothing of it
            loader._iterator = None
        yield listener
    finally:
        loader.worker_init_fn, loader.collate_fn = before[:2]
        if persistent:
            loader._iterator = before[2]


@contextmanager
def _standing(dataset: object) -> Iterator[None]:
    before = [(each, each.adapter.standing(each.generator)) for each in _seen(dataset)]
    try:
        yield
    finally:
        for each, place in before:
            if place is not None:
                each.adapter.stand(each.generator, place)
