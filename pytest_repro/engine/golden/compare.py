"""Compares what a run observed with what a golden file stores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_repro.core.compare.mismatch import Difference, Mismatch, ObservedRun, find_mismatches
from pytest_repro.core.compare.stored_value import (
    StatisticDifference,
    Statistics,
    StoredValue,
    compare_statistics,
)
from pytest_repro.core.compare.verdict import BASELINE
from pytest_repro.core.golden import Entry
from pytest_repro.core.plan.plan import ToleranceFunction
from pytest_repro.core.runs.observation import ELEMENT_DTYPES, ContentRef, Key, Observation
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
        observation: With its digest as content.
        buffer: The bytes; None if the disk was too full to store them.
    """

    observation: Observation
    digest: str
    buffer: ValueBuffer | None
    nbytes: int


def collect_values(recording: RecordingBase, store: SpillStore) -> dict[Key, ObservedValue]:
    """The values of *recording*, the large ones from *store*."""
    values = {}
    for key, each in recording.observations().items():
        if isinstance(each.content, bytes):
            known, nbytes = digest(each.kind, [memoryview(each.content)]), len(each.content)
        else:
            known, nbytes = each.content.digest, store.get_nbytes(each.content)
        observation = replace(each, key=key, content=ContentRef(known))
        values[key] = ObservedValue(observation, known, load_content(each.content, store), nbytes)
    return values


def make_entry(values: Mapping[Key, ObservedValue]) -> Entry:
    """The entry that stores *values*."""
    return tuple(
        StoredValue(
            name, it.observation.kind, it.digest, None, None, _compute_statistics(it), step, path,
            it.observation.containers,
        )
        for (name, step, path), it in values.items()
    )  # fmt: skip


def _compute_statistics(value: ObservedValue) -> Statistics | None:
    if value.buffer is None:
        return None
    from pytest_repro.values.value_summary import compute_statistics

    return compute_statistics(value.observation.dtype, value.buffer, value.nbytes)


def collect_arrays(values: Mapping[Key, ObservedValue], max_bytes: int) -> dict[str, Any]:
    """The arrays to store, by digest: those of at most *max_bytes* bytes."""
    from pytest_repro.values.safetensors_file import as_storable_array

    arrays = {}
    for value in values.values():
        if value.buffer is not None and 0 < value.nbytes <= max_bytes:
            content = bytes(value.buffer[0 : value.nbytes])
            dtype, shape = value.observation.dtype, value.observation.shape
            arrays[value.digest] = as_storable_array(dtype, shape, content)
    return arrays


def find_differing_keys(stored: Entry, values: Mapping[Key, ObservedValue]) -> Iterator[Key]:
    """Keys whose values are not bitwise equal in *stored* and *values*."""
    expected = {value.key: value.identity for value in stored}
    actual = {
        key: (value.observation.kind, value.digest, value.observation.containers)
        for key, value in values.items()
    }
    yield from (key for key in {**expected, **actual} if expected.get(key) != actual.get(key))


def compare_with_golden(
    stored: Entry,
    values: Mapping[Key, ObservedValue],
    run: Run,
    environment_key: str,
    tolerance_for: ToleranceFunction,
    tensors: SafetensorsFile | None,
) -> list[Mismatch]:
    """The mismatches between the entry *stored*, which is the reference, and *values*, which *run* observed.

    Args:
        environment_key: Key of the environment of *stored*.
        tensors: The stored arrays; None if there are none.

    Raises:
        ValueError: A stored array is damaged.
    """
    stored_by_key = {value.key: value for value in stored}
    expected = {key: _make_observation(value, values.get(key)) for key, value in stored_by_key.items()}
    actual = {key: value.observation for key, value in values.items()}
    this = replace(run, axis=BASELINE, value=environment_key, repeat_of=None)

    def measure(a: Observation, b: Observation) -> Difference | None:
        buffer, nbytes = values[b.key].buffer, values[b.key].nbytes
        if tensors is None or buffer is None or not isinstance(a.content, ContentRef):
            return None
        fixed = a.dtype not in ("", *ELEMENT_DTYPES)
        content = tensors.read_bytes(a.content.digest, a.kind, nbytes, exact_size=fixed)
        if content is None:
            return None
        return measure_distance(a, content, b, [buffer[0:nbytes]], tolerance_for)

    mismatches = find_mismatches(ObservedRun(run, expected), ObservedRun(this, actual), measure)
    return [_add_detail(mismatch, stored_by_key, values) for mismatch in mismatches]


def _make_observation(stored: StoredValue, value: ObservedValue | None) -> Observation:
    same = value is not None and value.observation.kind == stored.kind
    dtype, shape = (value.observation.dtype, value.observation.shape) if value and same else ("", ())
    content = ContentRef(stored.digest)
    return Observation(stored.key, stored.kind, dtype, shape, content, containers=stored.containers)


def _add_detail(
    mismatch: Mismatch, stored: Mapping[Key, StoredValue], values: Mapping[Key, ObservedValue]
) -> Mismatch:
    """*mismatch* with a detail about the golden file; if no distance is known, with the statistics."""
    if mismatch.problem == "missing":
        where = "here" if mismatch.other_kind else "in the golden file"
        return replace(mismatch, detail=f"recorded {where} only")
    if mismatch.problem != "values" or mismatch.difference is not None:
        return mismatch
    key = (mismatch.series, mismatch.step, mismatch.path)
    detail = _describe_statistics(stored[key].statistics, _compute_statistics(values[key]))
    return replace(mismatch, detail=detail)


def _describe_statistics(stored: Statistics | None, current: Statistics | None) -> str:
    """How far two arrays are apart if only statistics of one of them are known."""
    if stored is None or current is None:
        return "the value is not in the golden file: only its digest is known"
    differences = list(compare_statistics(stored, current))
    elements = [each for each in differences if each.name.startswith("element ")]
    texts = [_format_difference(each) for each in differences if each not in elements[1:]]
    return f"only statistics are in the golden file: {'; '.join(texts) or 'they are the same'}"


def _format_difference(difference: StatisticDifference) -> str:
    sides = ("none" if side is None else side for side in (difference.a, difference.b))
    stored, current = (f"{side:.6g}" if isinstance(side, float) else side for side in sides)
    return f"{difference.name} {stored}, here {current}"
