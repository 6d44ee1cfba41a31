"""Whether the workers of a loader draw numbers of their own, and each epoch others than the last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_repro.adapters._torch.dataloader import BatchStates
    from pytest_repro.metrics.duplicate_draws import Duplicates

_BATCHES_PER_WORKER = 2
"""Batches that each worker loads in each epoch."""


@dataclass(frozen=True, slots=True)
class LoaderDraws:
    """What a loader draws while it loads.

    Attributes:
        epochs: Number of epochs that were begun.
        workers: Number of the loader's workers; 0: it loads in its own process.
        states: For each generator that moved, by its name: where it stood before each batch that
            moved it, as digests, by ``"epoch 1 worker 0"``; ``"epoch 1"`` without workers.
    """

    epochs: int
    workers: int
    states: Mapping[str, Mapping[str, Sequence[str]]]

    def find_duplicates(self) -> dict[str, Duplicates]:
        """The generators that draw the same numbers more than once, and where."""
        found = {name: _find_duplicates(each) for name, each in self.states.items()}
        return {name: each for name, each in found.items() if each}

    def __str__(self) -> str:
        return f"{_format_counts(self)} draw numbers of their own from {', '.join(self.states)}"


def check_loader(loader: Any, epochs: int = 2, batches: int | None = None) -> LoaderDraws:
    """Fails where two workers of a loader, or two of its epochs, draw the same numbers.

    A generator that a data set holds (``np.random.default_rng``) is copied to every worker and seeded
    by nobody: all workers draw the same augmentations, and each epoch draws those of the first. That
    is equal in every run, so running again cannot show it. Looked at is where the generators stand
    before each batch: the global ones, and those that the data set and the globals of your modules
    lead to. Not seen is a generator that ``__getitem__`` or ``__iter__`` makes and forgets, nor one that
    they seed by the index (``np.random.seed(index)``) where the loader shuffles: it stands elsewhere
    before each batch, and yet each item is given the same numbers in each epoch. Give
    :func:`pytest_repro.metrics.duplicates` what was drawn, of each epoch in the order of the items.

    Args:
        loader: A ``torch.utils.data.DataLoader``; it, and every generator of this process, are left as
            they were.
        epochs: Number of epochs to begin, 1 or more; with fewer than two workers 2 or more.
        batches: Number of batches to load of each; by default two for each worker.

    Returns:
        What was drawn from.

    Raises:
        AssertionError: Numbers are drawn twice; or no generator moved, so that nothing was compared.
        TypeError: *loader* is no ``DataLoader``.
        ValueError: There is nothing to compare in so many epochs and workers, or no batch is asked for.
    """
    workers = getattr(loader, "num_workers", None)
    if not isinstance(workers, int) or not hasattr(loader, "collate_fn"):
        raise TypeError(f"loader: expected a torch.utils.data.DataLoader, not {type(loader).__qualname__}")
    if epochs < 1 or (epochs < 2 and workers < 2):
        raise ValueError(f"epochs={epochs}: expected 2 or more with {workers} workers")
    if batches is not None and batches < 1:
        raise ValueError(f"batches={batches}: expected 1 or more")
    from pytest_repro.adapters._torch.dataloader import iter_epoch_states

    told = iter_epoch_states(loader, epochs, batches or _BATCHES_PER_WORKER * max(1, workers))
    drawn = LoaderDraws(epochs, workers, _collect_states(told, workers))
    if not drawn.states:
        raise AssertionError("\n".join(_format_no_draws(drawn)))
    if repeated := drawn.find_duplicates():
        raise AssertionError(
            "\n".join(_format_failure(drawn, repeated, getattr(loader, "persistent_workers", False)))
        )
    return drawn


def _collect_states(epochs: Iterable[Iterable[BatchStates]], workers: int) -> dict[str, dict[str, list[str]]]:
    """Where the generators that moved stood before each batch that moved them, by epoch and worker."""
    found: dict[str, dict[str, list[str]]] = {}
    for number, told in enumerate(epochs, 1):
        for each in told:
            at = f"epoch {number} worker {each.worker}" if workers else f"epoch {number}"
            for name, place in each.after.items():
                before = each.before.get(name)
                if before is not None and before != place:
                    found.setdefault(name, {}).setdefault(at, []).append(before)
    return found


def _find_duplicates(states: Mapping[str, Sequence[str]]) -> Duplicates:
    """Which drew from one and the same place: from there on they drew the same numbers."""
    from pytest_repro.metrics.duplicate_draws import Duplicates

    groups: list[tuple[set[str], list[str]]] = []
    for at, stood in states.items():
        same = [group for group in groups if not group[0].isdisjoint(stood)]
        groups = [group for group in groups if group not in same]
        names = [name for _, known in same for name in known]
        groups.append((set(stood).union(*(known for known, _ in same)), [*names, at]))
    return Duplicates(len(states), tuple(tuple(names) for _, names in groups if len(names) > 1))


def _format_counts(loader_draws: LoaderDraws) -> str:
    workers = (
        f" of {loader_draws.workers} worker{'s' * (loader_draws.workers != 1)}"
        if loader_draws.workers
        else ""
    )
    return f"{loader_draws.epochs} epoch{'s' * (loader_draws.epochs != 1)}{workers}"


def _format_failure(
    loader_draws: LoaderDraws, duplicates: Mapping[str, Duplicates], persistent: bool
) -> Iterator[str]:
    yield f"the loader draws the same numbers more than once ({_format_counts(loader_draws)})"
    yield ""
    for name, each in duplicates.items():
        yield f"  {name}: {each}"
    yield ""
    if loader_draws.workers:
        # Persistent workers begin once, and go on where they were in the next epoch.
        anew, own = ("", "worker") if persistent else ("; in each epoch anew", "worker and epoch")
        yield f"  why        each worker begins with a copy of it, or seeds it alike{anew}; or the data set"
        yield "             seeds it in __getitem__: then draw from a generator of its own there"
        yield "  fix        a worker_init_fn that seeds it from torch.initial_seed(), which is another number"
        yield f"             in each {own}: torch.utils.data.get_worker_info().dataset is the copy"
    else:
        yield "  why        it is seeded alike at the beginning of each epoch"
        yield "  fix        seed it once, before the first epoch"


def _format_no_draws(loader_draws: LoaderDraws) -> Iterator[str]:
    yield f"the loader observed nothing: no generator moved in {_format_counts(loader_draws)}, so nothing was compared"
    yield ""
    yield "  a generator made in __getitem__ or __iter__ is not seen: record_draws takes what it drew"
