"""Joins the runs of several ranks into one run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from pytest_repro.core.runs.observation import Key, Observation
from pytest_repro.core.runs.run import SUBTEST_ERROR, RecordedWarning, Run


class RankRun(NamedTuple):
    """What one rank did in a run."""

    rank: int
    run: Run
    observations: Mapping[Key, Observation]
    end_time: float  # end of its body, in seconds since the epoch
    xfail_reason: str | None = None  # why its failure was expected; None if it was not, or did not fail

    @property
    def severity(self) -> int:
        """How bad its outcome is, from 0: the worst outcome is that of the whole run."""
        if self.run.outcome != "failed":
            return ("passed", "skipped").index(self.run.outcome)
        return 2 if self.xfail_reason is not None else 3 if self.run.error_type == SUBTEST_ERROR else 4


def prefix_rank(rank: int, key: Key) -> Key:
    """*key* in the joined run: ``rank0.loss``."""
    name, step, path = key
    return f"rank{rank}.{name}", step, path


def split_rank(key: Key) -> tuple[int, Key]:
    """The rank and the key that :func:`prefix_rank` joined."""
    rank, _, name = key[0].partition(".")
    return int(rank.removeprefix("rank")), (name, *key[1:])


def join_observations(rank_runs: Iterable[RankRun]) -> Iterator[Observation]:
    """What every rank observed, rank by rank, under a name with the rank."""
    for part in rank_runs:
        for key, observation in part.observations.items():
            yield replace(observation, key=prefix_rank(part.rank, key))


def select_worst(rank_runs: Iterable[RankRun]) -> RankRun:
    """The rank that determines the outcome of the joined run: of those that ended worst, the first.

    Once a rank has failed the others often follow, because they wait for it in vain.
    """
    return min(rank_runs, key=lambda part: (-part.severity, part.end_time, part.rank))


def join_runs(rank_runs: Iterable[RankRun]) -> Run:
    """The joined run of every rank that returned: it failed if a rank failed, and as that rank did."""
    runs = sorted(rank_runs, key=lambda part: part.rank)
    first = select_worst(runs)
    alike = [part.rank for part in runs if part.run.error == first.run.error]
    tracebacks = [first.run.traceback, *_describe_others(runs, first)] if first.run.traceback else []
    return replace(
        first.run,
        seconds=max(part.run.seconds for part in runs),
        observation_count=sum(part.run.observation_count for part in runs),
        error=f"{format_ranks(alike, len(runs))}: {first.run.error}" if first.run.error else "",
        traceback="\n\n".join(tracebacks),
        not_compared={k: v for part in runs for k, v in part.run.not_compared.items()},
        drew_on_axis=any(part.run.drew_on_axis for part in runs),
        warnings=tuple(_join_warnings(runs)),
        environment_diff={},  # no rank runs in this process
        partly_skipped=first.run.outcome == "skipped" and any(part.run.outcome == "passed" for part in runs),
        past_log=tuple(f"rank {part.rank}: {each}" for part in runs for each in part.run.past_log),
    )


_PEER_LOST = re.compile("onnection (closed|reset)|roken pipe|imed out")
"""Errors of a collective operation in which another rank is missing."""


def format_ranks(ranks: Sequence[int], size: int = 0) -> str:
    """``rank 1``, ``ranks 0, 2``; ``each rank`` if these are all of *size*."""
    if len(ranks) == size > 1:
        return "each rank"
    return f"rank{'s' * (len(ranks) > 1)} {', '.join(map(str, ranks))}"


def _describe_others(rank_runs: Sequence[RankRun], first: RankRun) -> Iterator[str]:
    """A text for each rank that failed in another way than *first*, or that did not wait for it."""
    waited = _PEER_LOST.search(first.run.error + first.run.traceback)  # the error may be cut short
    for part in rank_runs:
        earlier = first.end_time - part.end_time
        if waited and part.run.outcome != "failed" and earlier > 0:
            outcome = "passed" if part.run.outcome == "passed" else "was skipped"
            yield f"rank {part.rank} had left the test: it {outcome} {earlier:.2g} s before"
        if part.run.outcome == "failed" and part.run.error != first.run.error:
            later = part.end_time - first.end_time
            yield f"rank {part.rank}{f', {later:.2g} s later' if later > 0 else ''}: {part.run.error}"


def _join_warnings(rank_runs: Sequence[RankRun]) -> Iterator[RecordedWarning]:
    """The warnings of all ranks, each with the ranks that issued it."""
    ranks_by_warning: dict[RecordedWarning, list[int]] = {}
    for part in rank_runs:
        for warning in dict.fromkeys(part.run.warnings):
            ranks_by_warning.setdefault(warning, []).append(part.rank)
    for warning, ranks in ranks_by_warning.items():
        yield warning._replace(text=f"{warning.text} (in {format_ranks(ranks, len(rank_runs))})")
