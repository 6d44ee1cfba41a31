"""How many runs tell a suspect from chance: runs of some kind agree, while other runs differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from math import exp, lgamma, log

from pytest_repro.core.diagnose import ExperimentResult

FALSE_POSITIVE_RATE = 0.005
"""Greatest probability that the runs of an innocent suspect agree by chance: one in 200."""

MAX_REQUIRED_RUNS = 10_000

_TOTALS = (6, 14, 30, 94)
"""Runs after each batch."""


def compute_chance(free: Sequence[str], held: Sequence[str]) -> float:
    """The probability that so many of all these runs agree if nothing but chance picks them.

    If a suspect makes no difference, the runs while it is suspended are like any others: each choice of as
    many from all runs is equally likely. The probability is the share of choices that agree. This is Fisher's
    permutation test (The Design of Experiments, 1935, section 21); it holds whatever the distribution is.

    Args:
        free: Digests of runs without suspension.
        held: Digests of runs with it, which all agree.
    """
    return _compute_share(Counter([*free, *held]).values(), len(held))


def is_certain(free: Sequence[str], held: ExperimentResult) -> bool:
    """Whether the runs of *held* agree, which chance hardly explains: those of *free* do not."""
    return held.equal and compute_chance(free, held.digests) <= FALSE_POSITIVE_RATE


def _compute_share(group_sizes: Iterable[int], chosen: int) -> float:
    """The share of choices of so many runs that all come from one group."""
    sizes = list(group_sizes)
    every = _log_choices(sum(sizes), chosen)
    return sum(exp(_log_choices(size, chosen) - every) for size in sizes if size >= chosen)


def _log_choices(total: int, chosen: int) -> float:
    return lgamma(total + 1) - lgamma(chosen + 1) - lgamma(total - chosen + 1)


def compute_required_runs(free: Sequence[str], digest: str | None = None, known: Sequence[str] = ()) -> int:
    """The number of runs, with a suspect suspended, that must agree before chance hardly explains it.

    Four for a source whose ten runs all differ, about ten for a coin whose rate is known well: at least 3,
    at most :data:`MAX_REQUIRED_RUNS`.

    Args:
        free: Digests of runs without suspension.
        digest: What the runs will show; None for the most common of *free*, the worst case.
        known: Digests of runs with the suspect suspended that are made already, and agree.
    """
    sizes = Counter(free)
    shown = digest if digest is not None else max(sizes, key=sizes.__getitem__, default="")
    own = sizes.pop(shown, 0)
    low, high = 2, 3

    def is_enough(more: int) -> bool:
        held = len(known) + more
        return _compute_share([own + held, *sizes.values()], held) <= FALSE_POSITIVE_RATE

    while not is_enough(high):
        if high >= MAX_REQUIRED_RUNS:
            return MAX_REQUIRED_RUNS
        low, high = high, min(2 * high, MAX_REQUIRED_RUNS)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def compute_matching_runs(free: Sequence[str], digest: str) -> int:
    """The number of runs, with a suspect suspended, that must show *digest* before chance hardly explains it.

    *digest* is known beforehand: what the first run of a process shows, before others leave state behind.
    The share of choices of as many runs that show it, as in :func:`compute_chance`.

    Args:
        free: Digests of later runs in the same process, without suspension.
        digest: That of the first.

    Returns:
        At least 2, at most :data:`MAX_REQUIRED_RUNS`.
    """
    own, total = list(free).count(digest), len(free)

    def is_enough(runs: int) -> bool:
        return _log_choices(own + runs, runs) - _log_choices(total + runs, runs) <= log(FALSE_POSITIVE_RATE)

    return next(filter(is_enough, range(2, MAX_REQUIRED_RUNS)), MAX_REQUIRED_RUNS)


def repeat_until_known(
    results: list[ExperimentResult], run_more: Callable[[int], ExperimentResult]
) -> Sequence[str]:
    """Repeats a test, in growing batches added to *results*, until it is known how often its runs agree.

    Args:
        results: The first batch.
        run_more: Makes so many runs, or fewer if time is short.

    Returns:
        The digests of all runs.
    """
    for total in _TOTALS:
        digests = list_digests(results)
        if len(digests) >= total:
            continue
        # More runs without suspension save runs with it, for each suspect.
        if len(set(digests)) > 1 and compute_required_runs(digests) <= 2 * len(digests):
            break
        results.append(run_more(total - len(digests)))
    return list_digests(results)


def list_digests(results: Iterable[ExperimentResult]) -> list[str]:
    """The digests of all runs of *results*."""
    return [digest for result in results for digest in result.digests]


def run_until_certain(
    run: Callable[[int], ExperimentResult], free: Sequence[str], known: Sequence[str] = ()
) -> ExperimentResult:
    """Runs with a suspect suspended: as many as chance hardly explains, unless they differ.

    Args:
        run: Makes so many runs.
        free: Digests of runs without suspension.
        known: Digests of runs with it that are made already, and agree.
    """
    wanted = compute_required_runs(free, known[0] if known else "", known)
    while True:
        result = run(wanted)
        more = compute_required_runs(free, result.digests[0], known) if result.equal else 0
        if more <= wanted:
            return result
        wanted = more
