"""One run that was made in several ranks at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from pytest_repro.core.observation import Key, Observation
from pytest_repro.core.run import Run

_WORSE = ("passed", "skipped", "failed")


class Part(NamedTuple):
    """What one rank did in a run.

    Attributes:
        rank: Its number, from 0.
        run: What it did.
        observations: What it observed, by key.
        ended: When its body had ended, in seconds since the epoch.
    """

    rank: int
    run: Run
    observations: Mapping[Key, Observation]
    ended: float


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


def whole(parts: Iterable[Part]) -> Run:
    """The run of all ranks: it failed where one of them did, and as the first of these did.

    Where one rank has failed the others often follow: what they wait for never comes.

    Args:
        parts: Of every rank that answered, in any order.
    """
    runs = sorted(parts)
    worst = max((part.run.outcome for part in runs), key=_WORSE.index)
    first = min((part for part in runs if part.run.outcome == worst), key=lambda part: part.ended)
    return replace(
        first.run,
        seconds=max(part.run.seconds for part in runs),
        observations=sum(part.run.observations for part in runs),
        error=f"rank {first.rank}: {first.run.error}" if first.run.error else "",
        left_out=sum(part.run.left_out for part in runs),
        drew=any(part.run.drew for part in runs),
        warned=tuple(dict.fromkeys(each for part in runs for each in part.run.warned)),
        unlike={},  # nothing of this run was made here
        beyond=tuple(f"rank {part.rank}: {each}" for part in runs for each in part.run.beyond),
    )
