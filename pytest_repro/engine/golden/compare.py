"""Compares what a run observed with what is stored of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_repro.core.compare.compare import Observed, mismatches
from pytest_repro.core.compare.difference import Difference
from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.statistics import Statistics, Unequal, unequal
from pytest_repro.core.golden.golden import BASELINE, Entry, Row
from pytest_repro.core.plan.tolerance import Closeness
from pytest_repro.core.runs.observation import Key, Observation, Stored
from pytest_repro.core.runs.run import Run
from pytest_repro.engine.runs.distance import distance, kept
from pytest_repro.engine.runs.recording import Recorded
from pytest_repro.values.hashing import digest
from pytest_repro.values.spill_store import Kept, Shelf

if TYPE_CHECKING:
    from pytest_repro.values.safetensors_file import Tensors


@dataclass(frozen=True, slots=True)
class Seen:
    """One observation of this session, with its bytes.

    Attributes:
        observation: With the digest as its content.
        digest: 32 hexadecimal digits.
        kept: The bytes; None where the disk was too full to keep them.
        nbytes: How many they are.
    """

    observation: Observation
    digest: str
    kept: Kept | None
    nbytes: int


def seen(recorded: Recorded, shelf: Shelf) -> dict[Key, Seen]:
    """What *recorded* holds, whose large values are on *shelf*."""
    return {key: _seen(replace(each, key=key), shelf) for key, each in recorded.observations().items()}


def _seen(each: Observation, shelf: Shelf) -> Seen:
    content = each.content
    if isinstance(content, bytes):
        found, nbytes = digest(each.kind, [memoryview(content)]), len(content)
    else:
        found, nbytes = content.digest, shelf.nbytes(content)
    return Seen(replace(each, content=Stored(found)), found, kept(content, shelf), nbytes)


def entry_of(here: Mapping[Key, Seen]) -> Entry:
    """What is to be stored of *here*."""
    rows = ((key, each.observation.kind, each.digest, _statistics(each)) for key, each in here.items())
    return tuple(Row(*row) for row in rows)


def _statistics(each: Seen) -> Statistics | None:
    if each.kept is None:
        return None
    from pytest_repro.values.statistics import statistics

    return statistics(each.observation.element, each.kept, each.nbytes)


def arrays_of(here: Mapping[Key, Seen], most: int) -> dict[str, Any]:
    """The values to be stored, by digest: those of at most *most* bytes."""
    from pytest_repro.values.safetensors_file import array_of

    return {
        each.digest: array_of(
            each.observation.element, each.observation.shape, bytes(each.kept[0 : each.nbytes])
        )
        for each in here.values()
        if each.kept is not None and 0 < each.nbytes <= most
    }


def differing(stored: Entry, here: Mapping[Key, Seen]) -> Iterator[Key]:
    """What is not the same in *stored* and *here*, to the bit."""
    there = {row.key: row for row in stored}
    for key in {**there, **here}:
        row, each = there.get(key), here.get(key)
        if row is None or each is None or (row.kind, row.digest) != (each.observation.kind, each.digest):
            yield key


def compared(
    stored: Entry, here: Mapping[Key, Seen], run: Run, key: str, close: Closeness, tensors: Tensors | None
) -> list[Mismatch]:
    """What differs from *stored*.

    Args:
        stored: What another session has observed: the reference.
        here: What this one has.
        run: That observed it.
        key: Of the environment that *stored* is of.
        close: The tolerance, by the dtypes of both.
        tensors: Where stored values are; None where there are none.

    Raises:
        ValueError: A stored value is damaged.
    """
    rows = {row.key: row for row in stored}
    there = {name: _observation(row, here.get(name)) for name, row in rows.items()}
    mine = {name: each.observation for name, each in here.items()}
    this = replace(run, axis=BASELINE, value=key, at=None)

    def measure(a: Observation, b: Observation) -> Difference | None:
        return _measured(a, here[b.key], tensors, close)

    found = mismatches(Observed(run, there), Observed(this, mine), measure)
    return [_told(each, rows, here) for each in found]


def _observation(row: Row, like: Seen | None) -> Observation:
    same = like is not None and like.observation.kind == row.kind
    element, shape = (like.observation.element, like.observation.shape) if like and same else ("", ())
    return Observation(row.key, row.kind, element, shape, Stored(row.digest))


def _measured(a: Observation, b: Seen, tensors: Tensors | None, close: Closeness) -> Difference | None:
    if tensors is None or b.kept is None or not isinstance(a.content, Stored):
        return None
    values = tensors.content(a.content.digest, a.kind, b.nbytes, fixed=a.element != "")
    if values is None:
        return None
    return distance(a, values, b.observation, [b.kept[0 : b.nbytes]], close)


def _told(found: Mismatch, rows: Mapping[Key, Row], here: Mapping[Key, Seen]) -> Mismatch:
    """*found*, in words for a golden file; where no distance is known, with what the statistics say."""
    if found.problem == "missing":
        where = "here" if found.other_kind else "in the golden file"
        return replace(found, detail=f"recorded {where} only")
    if found.problem != "values" or found.difference is not None:
        return found
    key = (found.series, found.step, found.path)
    return replace(found, detail=said(rows[key].statistics, _statistics(here[key])))


def said(there: Statistics | None, here: Statistics | None) -> str:
    """How far two arrays are apart of which one is known by its statistics."""
    if there is None or here is None:
        return "the value is not in the golden file: only its digest is known"
    found = list(unequal(there, here))
    elements = [each for each in found if each.name.startswith("element ")]
    apart = [_words(each) for each in found if each not in elements[1:]]
    return f"only statistics are in the golden file: {'; '.join(apart) or 'they are the same'}"


def _words(found: Unequal) -> str:
    sides = ("none" if each is None else each for each in (found.a, found.b))
    there, here = (f"{each:.6g}" if isinstance(each, float) else each for each in sides)
    return f"{found.name} {there}, here {here}"
