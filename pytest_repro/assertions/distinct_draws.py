"""Checks that workers and epochs draw different random numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_repro.core.compare.verdict import NotReproducible, Verdict
from pytest_repro.core.plan.plan import Plan
from pytest_repro.engine.runs.current_run import record_in_run

if TYPE_CHECKING:
    from pytest_repro.adapters._torch.draws import BatchStates
    from pytest_repro.metrics.duplicate_draws import Duplicates

_BATCHES_PER_WORKER = 2
_NO_DRAWS = """the loader observed nothing: no generator moved in {}, so nothing was compared

  a generator created in __getitem__ or __iter__ is not seen: pass what it drew to
  assert_distinct_draws"""


def assert_distinct_draws(draws: Mapping[Any, Any], name: str = "draws") -> None:
    """Fails if two workers or epochs drew the same numbers.

    Repeated draws are equal in every run, so comparing runs cannot show them. A shorter series counts as
    the same if the longer one starts with it. In a marked test the draws are recorded.

    Args:
        draws: Name (``"worker 0"``, ``"epoch 2"``) → numbers of shape (draws, …), in drawing order.
            Use floats, or many integers: a few small integers are equal by chance.
        name: Name of the record, and of the draws in the failure.

    Raises:
        NotReproducible: Two or more are the same; the message names them.
        TypeError: *draws* is not a mapping to numbers.
        ValueError: *draws* has fewer than two entries, or an empty one.
    """
    __tracebackhide__ = True
    from pytest_repro.metrics import duplicates

    repeated = duplicates(draws)
    record_in_run(name, dict(draws))
    if repeated:
        raise NotReproducible(f"{name}: {repeated}")


@dataclass(frozen=True, slots=True)
class LoaderDraws:
    """What a ``DataLoader`` draws while it loads.

    Attributes:
        epochs: Number of epochs started.
        workers: Number of workers; 0 if the loader loads in its own process.
        states: Generator → ``"epoch 1 worker 0"`` (``"epoch 1"`` without workers) → digests of its state
            before each batch that moved it.
    """

    epochs: int
    workers: int
    states: Mapping[str, Mapping[str, Sequence[str]]]

    def find_duplicates(self) -> dict[str, Duplicates]:
        """The generators that draw the same numbers more than once, and where."""
        duplicates = {name: _find_duplicates(states) for name, states in self.states.items()}
        return {name: repeated for name, repeated in duplicates.items() if repeated}

    def _format_counts(self) -> str:
        """``"2 epochs of 1 worker"``."""
        workers = f" of {self.workers} worker{'s' * (self.workers != 1)}" if self.workers else ""
        return f"{self.epochs} epoch{'s' * (self.epochs != 1)}{workers}"

    def __str__(self) -> str:
        return f"{self._format_counts()} draw numbers of their own from {', '.join(self.states)}"


def assert_distinct_loader_draws(loader: Any, epochs: int = 2, batches: int | None = None) -> LoaderDraws:
    """Fails if two workers of a ``DataLoader``, or two of its epochs, draw the same numbers.

    A generator held by the data set (``np.random.default_rng``) is copied to every worker and reseeded by
    nobody: all workers draw the same augmentations, and so does every epoch. All runs are equal then, so
    comparing runs cannot show it. This compares the generator states before each batch: the global
    generators, and those reachable from the data set and from globals of your modules.

    It misses a generator created inside ``__getitem__`` or ``__iter__``, and one seeded there by the index
    (``np.random.seed(index)``) if the loader shuffles. Pass what these drew to
    :func:`assert_distinct_draws`, one entry for each epoch, in the order of the items.

    In a marked test the generator states are recorded as ``loader``.

    Args:
        loader: A ``torch.utils.data.DataLoader``. It and all generators of this process are restored.
        epochs: Number of epochs to start, 1 or more; 2 or more with fewer than two workers.
        batches: Number of batches to load in each epoch; by default two for each worker.

    Raises:
        NotReproducible: Numbers are drawn twice, or no generator moved and nothing was compared.
        TypeError: *loader* is not a ``DataLoader``.
        ValueError: *epochs* or *batches* is too small.
    """
    __tracebackhide__ = True
    workers = getattr(loader, "num_workers", None)
    if not isinstance(workers, int) or not hasattr(loader, "collate_fn"):
        raise TypeError(f"loader: expected a torch.utils.data.DataLoader, not {type(loader).__qualname__}")
    if epochs < 1 or (epochs < 2 and workers < 2):
        raise ValueError(f"epochs={epochs}: expected 2 or more with {workers} workers")
    if batches is not None and batches < 1:
        raise ValueError(f"batches={batches}: expected 1 or more")
    from pytest_repro.adapters._torch.draws import iter_epoch_states

    batch_states = iter_epoch_states(loader, epochs, batches or _BATCHES_PER_WORKER * max(1, workers))
    draws = LoaderDraws(epochs, workers, _collect_states(batch_states, workers))
    if not draws.states:
        raise NotReproducible(_NO_DRAWS.format(draws._format_counts()), Verdict("unobserved", Plan(), ()))
    if repeated := draws.find_duplicates():
        persistent = getattr(loader, "persistent_workers", False)
        raise NotReproducible("\n".join(_format_failure(draws, repeated, persistent)))
    starts = {name: {at: seen[0] for at, seen in states.items()} for name, states in draws.states.items()}
    record_in_run("loader", starts)
    return draws


def _collect_states(epochs: Iterable[Iterable[BatchStates]], workers: int) -> dict[str, dict[str, list[str]]]:
    """The :attr:`LoaderDraws.states` of *epochs*."""
    states: dict[str, dict[str, list[str]]] = {}
    for number, batches in enumerate(epochs, 1):
        for batch in batches:
            place = f"epoch {number} worker {batch.worker}" if workers else f"epoch {number}"
            for name, after in batch.after.items():
                before = batch.before.get(name)
                if before is not None and before != after:
                    states.setdefault(name, {}).setdefault(place, []).append(before)
    return states


def _find_duplicates(states: Mapping[str, Sequence[str]]) -> Duplicates:
    """Groups the places that drew from one and the same state: what follows it is the same."""
    from pytest_repro.metrics.duplicate_draws import Duplicates

    groups: list[tuple[set[str], list[str]]] = []
    for place, seen in states.items():
        same = [group for group in groups if not group[0].isdisjoint(seen)]
        groups = [group for group in groups if group not in same]
        names = [name for _, known in same for name in known]
        groups.append((set(seen).union(*(known for known, _ in same)), [*names, place]))
    return Duplicates(len(states), tuple(tuple(names) for _, names in groups if len(names) > 1))


def _format_failure(
    draws: LoaderDraws, duplicates: Mapping[str, Duplicates], persistent: bool
) -> Iterator[str]:
    yield f"the loader draws the same numbers more than once ({draws._format_counts()})\n"
    yield from (f"  {name}: {repeated}" for name, repeated in duplicates.items())
    yield ""
    if draws.workers:
        # Persistent workers start once, and continue in the next epoch.
        again, each = ("", "worker") if persistent else (" in each epoch", "worker and epoch")
        yield f"  why        each worker starts with a copy of it or with the same seed{again}; or the"
        yield "             data set seeds it in __getitem__: use a generator created there instead"
        yield "  fix        a worker_init_fn that seeds it from torch.initial_seed(), which differs in each"
        yield f"             {each}: torch.utils.data.get_worker_info().dataset is the copy"
    else:
        yield "  why        it is seeded with the same number at the start of each epoch"
        yield "  fix        seed it once, before the first epoch"
