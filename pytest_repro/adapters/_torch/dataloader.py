"""States of the generators in the workers of a ``DataLoader``, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from itertools import islice
from typing import Any, NamedTuple

from torch.utils.data import get_worker_info

from pytest_repro.adapters._find_generators import FoundGenerator, find_generators, iter_user_globals


class BatchStates(NamedTuple):
    """What a worker sends instead of a batch.

    Attributes:
        worker: Index of the worker; 0 if the loader has none.
        before: Digest of each generator's state before the batch was loaded, by name.
        after: The same afterwards.
    """

    worker: int
    before: dict[str, str]
    after: dict[str, str]


def _find_dataset_generators(dataset: object) -> list[FoundGenerator]:
    return find_generators([("dataset", dataset), *iter_user_globals()])


def _digest_states(dataset: object) -> dict[str, str]:
    states = {generator.name: generator.read() or "" for generator in _find_dataset_generators(dataset)}
    return {name: blake2b(state.encode(), digest_size=16).hexdigest() for name, state in states.items()}


class _WorkerHooks:
    """Replaces a loader's ``worker_init_fn`` and ``collate_fn``; a copy is sent to each worker."""

    def __init__(self, loader: Any) -> None:
        self._worker_init_fn, self._collate_fn = loader.worker_init_fn, loader.collate_fn
        self._dataset = loader.dataset
        self._before: dict[str, str] = {}

    def init_worker(self, worker: int) -> None:
        if self._worker_init_fn is not None:
            self._worker_init_fn(worker)
        self.record_states()

    def record_states(self) -> None:
        info = get_worker_info()
        # A worker has a copy of the dataset, and its init function may have replaced that.
        self._dataset = self._dataset if info is None else info.dataset
        self._before = _digest_states(self._dataset)

    def collate(self, items: Any) -> BatchStates:
        self._collate_fn(items)  # which may draw; its result is not sent
        info, before = get_worker_info(), self._before
        self._before = _digest_states(self._dataset)
        return BatchStates(0 if info is None else info.id, before, self._before)


def iter_epoch_states(loader: Any, epochs: int, max_batches: int) -> Iterator[list[BatchStates]]:
    """The states of each epoch. The loader, and every generator of this process, are restored.

    Args:
        loader: A ``DataLoader``.
        max_batches: Largest number of batches to load in each epoch.
    """
    with _hook_workers(loader) as hooks, _preserve_states(loader.dataset):
        for _ in range(epochs):
            batches = iter(loader)
            if not loader.num_workers:
                hooks.record_states()
            yield list(islice(batches, max_batches))


@contextmanager
def _hook_workers(loader: Any) -> Iterator[_WorkerHooks]:
    hooks, is_persistent = _WorkerHooks(loader), hasattr(loader, "_iterator")
    before = loader.worker_init_fn, loader.collate_fn, getattr(loader, "_iterator", None)
    try:
        loader.worker_init_fn, loader.collate_fn = hooks.init_worker, hooks.collate
        if is_persistent:  # running workers have the old functions
            loader._iterator = None
        yield hooks
    finally:
        loader.worker_init_fn, loader.collate_fn = before[:2]
        if is_persistent:
            loader._iterator = before[2]


@contextmanager
def _preserve_states(dataset: object) -> Iterator[None]:
    states = [(generator, generator.read()) for generator in _find_dataset_generators(dataset)]
    try:
        yield
    finally:
        for generator, state in states:
            if state is not None:
                generator.restore(state)
