"""How often runs differ: races do not show on every try."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from pytest_repro.core.diagnose.experiment import ExperimentResult
from pytest_repro.engine.diagnose.budgeted_experiments import compute_required_runs

_BATCH_SIZES = (4, 4, 16, 64)
"""Runs that are made to see a difference again."""


class RepeatCount(NamedTuple):
    """How often runs differed.

    Attributes:
        differing: How many from the first.
        runs: Of how many, the first not counted.
        required_runs: Runs after which, if none differs, that is hardly chance.
        outcomes: How the runs ended, each way once.
    """

    differing: int
    runs: int
    required_runs: int
    outcomes: frozenset[str]


def repeat_until_differs(first: ExperimentResult, run_more: Callable[[int], ExperimentResult]) -> RepeatCount:
    """How many of how many more runs differ from the first; tries harder until one does.

    Args:
        first: Runs that were made already.
        run_more: Makes as many runs, or fewer if there is no time for them.
    """
    tried = [first]
    for turn, number in enumerate(_BATCH_SIZES):
        differing, runs = (sum(each) for each in zip(*map(_count_differing, tried)))
        # All differ also from a first run that is the rare one itself: three first runs are asked.
        # Of what differs now and then it must be known how often.
        if turn >= 2 if differing == runs else differing and runs >= 16:
            break
        tried.append(run_more(number + 1))
    differing, runs = (sum(each) for each in zip(*map(_count_differing, tried)))
    needed = compute_required_runs(*_count_outliers(tried)) if differing else 2
    return RepeatCount(differing, runs, needed, frozenset(end for each in tried for end in each.outcomes))


def _count_differing(result: ExperimentResult) -> tuple[int, int]:
    """How many runs differ from the first, and of how many."""
    return len(result.differing), result.run_count - 1


def _count_outliers(results: Sequence[ExperimentResult]) -> tuple[int, int]:
    """How many runs stand out, and of how many, the first ones counted.

    Where some but not all differ from the first, the first may be the one that stands out.
    """
    counts = [_count_differing(each) for each in results]
    if all(differing == runs for differing, runs in counts):
        return sum(runs for _, runs in counts), sum(runs for _, runs in counts)
    return sum(min(d, runs + 1 - d) for d, runs in counts), sum(runs + 1 for _, runs in counts)
