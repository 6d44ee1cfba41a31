"""Where the generators of a ``DataLoader``'s workers stand, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from itertools import islice
from typing import Any, NamedTuple

from torch.utils.data import get_worker_info

from pytest_repro.adapters._find_generators import FoundGenerator, find_generators, iter_user_globals


class BatchStates(NamedTuple):
    """What a worker tells of a batch, in the place of the batch.

    Attributes:
        worker: Its number, from 0; 0 where the loader has none.
        before: Where each generator stood before, as a digest, by name.
        after: Where each stands once the batch is loaded.
    """

    worker: int
    before: dict[str, str]
    after: dict[str, str]


def _find_dataset_generators(dataset: object) -> list[FoundGenerator]:
    return find_generators([("dataset", dataset), *iter_user_globals()])


def _digest_states(dataset: object) -> dict[str, str]:
    found = (
        (each.name, each.adapter.get_state(each.generator)) for each in _find_dataset_generators(dataset)
    )
    return {name: blake2b((place or "").encode(), digest_size=16).hexdigest() for name, place in found}


class _WorkerHooks:
    """Stands in for a loader's ``worker_init_fn`` and ``collate_fn``; goes to the workers with them."""

    def __init__(self, loader: Any) -> None:
        self._worker_init_fn, self._collate_fn, self._dataset = (
            loader.worker_init_fn,
            loader.collate_fn,
            loader.dataset,
        )
        self._before: dict[str, str] = {}

    def init_worker(self, worker: int) -> None:
        if self._worker_init_fn is not None:
            self._worker_init_fn(worker)
        self.record_states()

    def record_states(self) -> None:
        info = get_worker_info()
        # A worker has a copy of the data set, and its init function may have put another one there.
        self._dataset = self._dataset if info is None else info.dataset
        self._before = _digest_states(self._dataset)

    def collate(self, items: Any) -> BatchStates:
        self._collate_fn(items)  # which may draw, too; what it gives need not be sent
        info, before = get_worker_info(), self._before
        self._before = _digest_states(self._dataset)
        return BatchStates(0 if info is None else info.id, before, self._before)


def iter_epoch_states(loader: Any, epochs: int, max_batches: int) -> Iterator[list[BatchStates]]:
    """What is told of each epoch; the loader, and each generator of this process, end as they were.

    Args:
        loader: A ``DataLoader``.
        epochs: Number of epochs.
        max_batches: Number of batches of each that are loaded at most.
    """
    with _hook_workers(loader) as listener, _preserve_states(loader.dataset):
        for _ in range(epochs):
            batch = iter(loader)
            if not loader.num_workers:
                listener.record_states()
            yield list(islice(batch, max_batches))


@contextmanager
def _hook_workers(loader: Any) -> Iterator[_WorkerHooks]:
    listener, persistent = _WorkerHooks(loader), hasattr(loader, "_iterator")
    before = loader.worker_init_fn, loader.collate_fn, getattr(loader, "_iterator", None)
    try:
        loader.worker_init_fn, loader.collate_fn = listener.init_worker, listener.collate
        if persistent:  # workers that are there already know nothing of it
            loader._iterator = None
        yield listener
    finally:
        loader.worker_init_fn, loader.collate_fn = before[:2]
        if persistent:
            loader._iterator = before[2]


@contextmanager
def _preserve_states(dataset: object) -> Iterator[None]:
    before = [(each, each.adapter.get_state(each.generator)) for each in _find_dataset_generators(dataset)]
    try:
        yield
    finally:
        for each, place in before:
            if place is not None:
                each.adapter.set_state(each.generator, place)
