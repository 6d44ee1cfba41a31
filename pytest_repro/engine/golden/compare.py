"""Compares what a run observed with what is stored of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_repro.core.compare.baseline import BASELINE
from pytest_repro.core.compare.compare import ObservedRun, find_mismatches
from pytest_repro.core.compare.difference import Difference
from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.statistics import StatisticDifference, Statistics, compare_statistics
from pytest_repro.core.golden.golden import Entry
from pytest_repro.core.golden.stored_value import StoredValue
from pytest_repro.core.plan.tolerance import ToleranceFunction
from pytest_repro.core.runs.observation import ContentRef, Key, Observation
from pytest_repro.core.runs.run import Run
from pytest_repro.engine.runs.distance import load_content, measure_distance
from pytest_repro.engine.runs.recording import RecordingBase
from pytest_repro.values.hashing import digest
from pytest_repro.values.spill_store import SpillStore, ValueBuffer

if TYPE_CHECKING:
    from pytest_repro.values.safetensors_file import SafetensorsFile


@dataclass(frozen=True, slots=True)
class ObservedValue:
    """One observation of this session, with its bytes.

    Attributes:
        observation: With the digest as its content.
        digest: 32 hexadecimal digits.
        buffer: The bytes; None where the disk was too full to keep them.
        nbytes: How many they are.
    """

    observation: Observation
    digest: str
    buffer: ValueBuffer | None
    nbytes: int


def collect_values(recording: RecordingBase, store: SpillStore) -> dict[Key, ObservedValue]:
    """What *recording* holds, whose large values are on *store*."""
    return {key: _make_value(replace(each, key=key), store) for key, each in recording.observations().items()}


def _make_value(observation: Observation, store: SpillStore) -> ObservedValue:
    content = observation.content
    if isinstance(content, bytes):
        found, nbytes = digest(observation.kind, [memoryview(content)]), len(content)
    else:
        found, nbytes = content.digest, store.get_nbytes(content)
    return ObservedValue(
        replace(observation, content=ContentRef(found)), found, load_content(content, store), nbytes
    )


def make_entry(values: Mapping[Key, ObservedValue]) -> Entry:
    """What is to be stored of *values*."""
    return tuple(
        StoredValue(
            name,
            value.observation.kind,
            value.digest,
            statistics=_compute_statistics(value),
            step=step,
            path=path,
        )
        for (name, step, path), value in values.items()
    )


def _compute_statistics(value: ObservedValue) -> Statistics | None:
    if value.buffer is None:
        return None
    from pytest_repro.values.statistics import compute_statistics

    return compute_statistics(value.observation.dtype, value.buffer, value.nbytes)


def collect_arrays(values: Mapping[Key, ObservedValue], max_bytes: int) -> dict[str, Any]:
    """The values to be stored, by digest: those of at most *max_bytes* bytes."""
    from pytest_repro.values.safetensors_file import as_storable_array

    return {
        each.digest: as_storable_array(
            each.observation.dtype, each.observation.shape, bytes(each.buffer[0 : each.nbytes])
        )
        for each in values.values()
        if each.buffer is not None and 0 < each.nbytes <= max_bytes
    }


def find_differing_keys(stored: Entry, values: Mapping[Key, ObservedValue]) -> Iterator[Key]:
    """What is not the same in *stored* and *values*, to the bit."""
    there = {row.key: row for row in stored}
    for key in {**there, **values}:
        row, each = there.get(key), values.get(key)
        if row is None or each is None or (row.kind, row.digest) != (each.observation.kind, each.digest):
            yield key


def compare_with_golden(
    stored: Entry,
    values: Mapping[Key, ObservedValue],
    run: Run,
    environment_key: str,
    tolerance_for: ToleranceFunction,
    tensors: SafetensorsFile | None,
) -> list[Mismatch]:
    """What differs from *stored*.

    Args:
        stored: What another session has observed: the reference.
        values: What this one has.
        run: That observed it.
        environment_key: Of the environment that *stored* is of.
        tolerance_for: The tolerance, by the dtypes of both.
        tensors: Where stored values are; None where there are none.

    Raises:
        ValueError: A stored value is damaged.
    """
    rows = {row.key: row for row in stored}
    there = {name: _make_observation(row, values.get(name)) for name, row in rows.items()}
    mine = {name: each.observation for name, each in values.items()}
    this = replace(run, axis=BASELINE, value=environment_key, repeat_of=None)

    def measure(a: Observation, b: Observation) -> Difference | None:
        return _measure(a, values[b.key], tensors, tolerance_for)

    found = find_mismatches(ObservedRun(run, there), ObservedRun(this, mine), measure)
    return [_add_detail(each, rows, values) for each in found]


def _make_observation(row: StoredValue, value: ObservedValue | None) -> Observation:
    same = value is not None and value.observation.kind == row.kind
    element, shape = (value.observation.dtype, value.observation.shape) if value and same else ("", ())
    return Observation(row.key, row.kind, element, shape, ContentRef(row.digest))


def _measure(
    a: Observation, b: ObservedValue, tensors: SafetensorsFile | None, tolerance_for: ToleranceFunction
) -> Difference | None:
    if tensors is None or b.buffer is None or not isinstance(a.content, ContentRef):
        return None
    values = tensors.read_bytes(a.content.digest, a.kind, b.nbytes, exact_size=a.dtype != "")
    if values is None:
        return None
    return measure_distance(a, values, b.observation, [b.buffer[0 : b.nbytes]], tolerance_for)


def _add_detail(
    mismatch: Mismatch, rows: Mapping[Key, StoredValue], values: Mapping[Key, ObservedValue]
) -> Mismatch:
    """*mismatch*, in words for a golden file; where no distance is known, with what the statistics say."""
    if mismatch.problem == "missing":
        where = "here" if mismatch.other_kind else "in the golden file"
        return replace(mismatch, detail=f"recorded {where} only")
    if mismatch.problem != "values" or mismatch.difference is not None:
        return mismatch
    key = (mismatch.series, mismatch.step, mismatch.path)
    return replace(
        mismatch, detail=describe_statistics(rows[key].statistics, _compute_statistics(values[key]))
    )


def describe_statistics(stored: Statistics | None, current: Statistics | None) -> str:
    """How far two arrays are apart of which one is known by its statistics."""
    if stored is None or current is None:
        return "the value is not in the golden file: only its digest is known"
    found = list(compare_statistics(stored, current))
    elements = [each for each in found if each.name.startswith("element ")]
    apart = [_format_unequal(each) for each in found if each not in elements[1:]]
    return f"only statistics are in the golden file: {'; '.join(apart) or 'they are the same'}"


def _format_unequal(found: StatisticDifference) -> str:
    sides = ("none" if each is None else each for each in (found.a, found.b))
    there, here = (f"{each:.6g}" if isinstance(each, float) else each for each in sides)
    return f"{found.name} {there}, here {here}"
