"""One run that was made in several ranks at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from pytest_repro.core.runs.observation import Key, Observation
from pytest_repro.core.runs.run import SUBTEST, Run, Warned


class Part(NamedTuple):
    """What one rank did in a run.

    Attributes:
        rank: Its number, from 0.
        run: What it did.
        observations: What it observed, by key.
        ended: When its body had ended, in seconds since the epoch.
        expected: Why its failure was expected; None where it was not, or it did not fail.
    """

    rank: int
    run: Run
    observations: Mapping[Key, Observation]
    ended: float
    expected: str | None = None

    @property
    def grade(self) -> int:
        """How bad its end is: the worst of all ranks is told of the whole run."""
        if self.run.outcome != "failed":
            return ("passed", "skipped").index(self.run.outcome)
        return 2 if self.expected is not None else 3 if self.run.error_type == SUBTEST else 4


def named(rank: int, key: Key) -> Key:
    """*key* as the whole run has it: ``rank0.loss``."""
    name, step, path = key
    return f"rank{rank}.{name}", step, path


def unnamed(key: Key) -> tuple[int, Key]:
    """The rank and the key that :func:`named` made one of."""
    rank, _, name = key[0].partition(".")
    return int(rank.removeprefix("rank")), (name, *key[1:])


def joined(parts: Iterable[Part]) -> Iterator[Observation]:
    """What every rank observed, each under its own name, rank by rank."""
    for part in parts:
        for key, each in part.observations.items():
            yield replace(each, key=named(part.rank, key))


def worst(parts: Iterable[Part]) -> Part:
    """The part by which the whole run is told: of those that ended worst, the first.

    Where one rank has failed the others often follow: what they wait for never comes.

    Args:
        parts: Of every rank that answered, in any order.
    """
    return min(parts, key=lambda part: (-part.grade, part.ended, part.rank))


def whole(parts: Iterable[Part]) -> Run:
    """The run of all ranks: it failed where one of them did, as that one did.

    Args:
        parts: Of every rank that answered, in any order.
    """
    runs = sorted(parts, key=lambda part: part.rank)
    first = worst(runs)
    alike = [part.rank for part in runs if part.run.error == first.run.error]
    return replace(
        first.run,
        seconds=max(part.run.seconds for part in runs),
        observations=sum(part.run.observations for part in runs),
        error=f"{_called(alike, len(runs))}: {first.run.error}" if first.run.error else "",
        traceback="\n\n".join([first.run.traceback, *_others(runs, first)]) if first.run.traceback else "",
        left_out=sum(part.run.left_out for part in runs),
        drew=any(part.run.drew for part in runs),
        warned=tuple(_warned(runs)),
        unlike={},  # nothing of this run was made here
        in_part=first.run.outcome == "skipped" and any(part.run.outcome == "passed" for part in runs),
        beyond=tuple(f"rank {part.rank}: {each}" for part in runs for each in part.run.beyond),
    )


_LEFT = re.compile("onnection (closed|reset)|roken pipe|imed out")
"""What a collective says for which another rank is missing."""

_ENDED = {"passed": "passed", "skipped": "was skipped"}


def _called(ranks: Sequence[int], size: int) -> str:
    """``rank 1``, ``ranks 0, 2``, ``each rank``."""
    if len(ranks) == size > 1:
        return "each rank"
    return f"rank{'s' * (len(ranks) > 1)} {', '.join(map(str, ranks))}"


def _others(runs: Sequence[Part], first: Part) -> Iterator[str]:
    """A text for each rank that failed otherwise than the *first* one, or that did not wait for it."""
    waited = _LEFT.search(first.run.error + first.run.traceback)  # the error may be cut short
    for part in runs:
        earlier = first.ended - part.ended
        if waited and part.run.outcome != "failed" and earlier > 0:
            yield f"rank {part.rank} had left the test: it {_ENDED[part.run.outcome]} {earlier:.2g} s before"
        if part.run.outcome == "failed" and part.run.error != first.run.error:
            later = part.ended - first.ended
            yield f"rank {part.rank}{f', {later:.2g} s later' if later > 0 else ''}: {part.run.error}"


def _warned(runs: Sequence[Part]) -> Iterator[Warned]:
    """The warnings of all ranks, each with the ranks that gave it."""
    given: dict[Warned, list[int]] = {}
    for part in runs:
        for each in dict.fromkeys(part.run.warned):
            given.setdefault(each, []).append(part.rank)
    for each, ranks in given.items():
        yield each._replace(text=f"{each.text} (in {_called(ranks, len(runs))})")
