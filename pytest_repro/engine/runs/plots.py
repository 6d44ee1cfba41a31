"""Plot data of runs that differ, read while both runs' values are available."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from pytest_repro.core.compare.mismatch import Difference, Mismatch, count_steps
from pytest_repro.core.compare.plot_data import (
    Heatmap,
    Histogram,
    PlotData,
    Series,
    add_counts,
    build_ulp_histogram,
    downsample,
    get_matrix_shape,
)
from pytest_repro.core.runs.observation import Key, Observation
from pytest_repro.core.runs.run import Run
from pytest_repro.engine.runs.distance import can_measure
from pytest_repro.engine.runs.recording import RecordingBase

MAX_PLOTS = 6
"""Most plots of one test, as many as values that its text shows in full."""

ComparedRun = tuple[Run, RecordingBase, RecordingBase]
"""A run, the recording it is compared with, and its own recording."""

_INDEX_SUFFIX = re.compile(r"\[(\d+)\]$")


def build_plots(
    mismatches: Sequence[Mismatch], compared_runs: Iterable[ComparedRun], mixes_dtypes: Callable[[str], bool]
) -> Iterator[PlotData]:
    """A plot of each differing series, list or array, on each axis of the first run that differs.

    mismatches: The mismatches.
        compared_runs: The runs, each with the recording it is compared with.
        mixes_dtypes: Whether dtypes may differ on an axis.
    """
    return islice(_iter_plots(mismatches, compared_runs, mixes_dtypes), MAX_PLOTS)


def _iter_plots(
    mismatches: Sequence[Mismatch], compared_runs: Iterable[ComparedRun], mixes_dtypes: Callable[[str], bool]
) -> Iterator[PlotData]:
    seen = set()
    for run, reference, other in compared_runs:
        mine = [
            m for m in mismatches if (m.axis, m.value, m.repeat_of) == (run.axis, run.value, run.repeat_of)
        ]
        seen_keys = reference.observations().keys() | other.observations().keys()
        mine = [m for m in mine if m.problem != "outcome" and (m.series, m.step, m.path) in seen_keys]
        if not mine:
            continue
        pair = _RunPair(reference, other, mine, mixes_dtypes(run.axis))
        for first in mine:
            family = pair.get_plot_group(first), (first.repeat_of or (first.axis,))[0]
            if family not in seen:
                seen.add(family)
                yield pair.build_plot(first)


class _RunPair:
    """Two runs whose values are available."""

    def __init__(
        self,
        reference: RecordingBase,
        other: RecordingBase,
        mismatches: Sequence[Mismatch],
        mixed_dtypes: bool,
    ) -> None:
        self._reference, self._other = reference.observations(), other.observations()
        self._measure, self._mixed_dtypes = other.measure, mixed_dtypes
        self._mismatches = {(each.series, each.step, each.path): each for each in mismatches}
        self._keys = [*self._reference, *(key for key in self._other if key not in self._reference)]
        self._steps = count_steps(self._keys)

    def get_plot_group(self, mismatch: Mismatch) -> tuple[str, str]:
        """What shares a plot: the steps of a series, or the elements of a list."""
        if self._steps[mismatch.series] > 1:
            return mismatch.series, mismatch.path
        return mismatch.series, _INDEX_SUFFIX.sub("[]", mismatch.path)

    def build_plot(self, mismatch: Mismatch) -> PlotData:
        keys = self._list_group_keys(mismatch)
        far = {key: self._find_difference(key) for key in keys}
        series = self._build_element_series(mismatch) if len(keys) == 1 else self._build_key_series(keys, far)
        heatmap = self._build_heatmap(keys[0], far[keys[0]]) if len(keys) == 1 and series is None else None
        name = f"{mismatch.series}{mismatch.path}"
        if len(keys) > 1 and self._steps[mismatch.series] == 1:
            name = _INDEX_SUFFIX.sub("", name)
        return PlotData(
            name, mismatch.axis, mismatch.value, mismatch.repeat_of, mismatch.kind,
            downsample(series) if series else None, self._build_histogram(far), heatmap,
        )  # fmt: skip

    def _list_group_keys(self, mismatch: Mismatch) -> list[Key]:
        if self._steps[mismatch.series] > 1:
            return [(mismatch.series, step, mismatch.path) for step in range(self._steps[mismatch.series])]
        if not _INDEX_SUFFIX.search(mismatch.path):
            return [(mismatch.series, mismatch.step, mismatch.path)]
        head = _INDEX_SUFFIX.sub("", mismatch.path)
        keys = [key for key in self._keys if key[0] == mismatch.series and key[2].startswith(head)]
        return [key for key in keys if _INDEX_SUFFIX.fullmatch(key[2], len(head))]

    def _find_difference(self, key: Key) -> Difference | None:
        """The distance of both runs there; None if it is unknown, or there is only one value."""
        if key in self._mismatches:
            return self._mismatches[key].difference
        ours, theirs = self._reference.get(key), self._other.get(key)
        if ours is None or theirs is None or not can_measure(ours, theirs, self._mixed_dtypes):
            return None
        if _are_equal(ours, theirs):
            return Difference(0, math.prod(ours.shape), 0, max_abs=0.0)
        return self._measure(ours, theirs)  # within the tolerance

    def _build_key_series(self, keys: Sequence[Key], differences: Mapping[Key, Difference | None]) -> Series:
        elements = self._steps[keys[0][0]] == 1
        places = [int(_INDEX_SUFFIX.findall(k[2])[-1]) if elements else k[1] for k in keys]
        ours = tuple(_read_scalar(self._reference.get(key)) for key in keys)
        theirs = tuple(_read_scalar(self._other.get(key)) for key in keys)
        apart = tuple(each.max_abs if (each := differences[key]) else None for key in keys)
        plain = any(each is not None for each in (*ours, *theirs))
        return Series(
            "element" if elements else "step", tuple(places), ours if plain else (), theirs if plain else (),
            apart, tuple(key in self._mismatches for key in keys),
            next(place for place, key in zip(places, keys) if key in self._mismatches), len(keys),
        )  # fmt: skip

    def _build_element_series(self, mismatch: Mismatch) -> Series | None:
        """The elements of a small recorded vector; None for anything else.

        In a vector that is a part of something else, such as a bias, the order of elements means nothing.
        """
        if mismatch.path:
            return None
        key = mismatch.series, mismatch.step, mismatch.path
        ours, theirs = self._reference.get(key), self._other.get(key)
        if ours is None or theirs is None or len(ours.shape) != 1 or ours.kind != theirs.kind:
            return None
        a, b = _read_elements(ours), _read_elements(theirs)
        unequal = _find_unequal(ours, theirs)
        if a is None or b is None or len(a) < 2 or not any(unequal):
            return None
        apart = tuple(_abs_difference(x, y, differ) for x, y, differ in zip(a, b, unequal))
        return Series(
            "element", tuple(range(len(a))), a, b, apart, tuple(unequal), unequal.index(True), len(a)
        )  # fmt: skip

    def _build_heatmap(self, key: Key, difference: Difference | None) -> Heatmap | None:
        if difference is None or sum(map(len, difference.places)) < 2:
            return None
        return Heatmap(get_matrix_shape(self._reference[key].shape), difference.places)

    def _build_histogram(self, differences: Mapping[Key, Difference | None]) -> Histogram | None:
        known = [each for each in differences.values() if each is not None]
        total, odd = (sum(getattr(each, name) for each in known) for name in ("total", "non_finite"))
        return build_ulp_histogram(add_counts(each.ulp_counts for each in known), total, odd)


def _are_equal(a: Observation, b: Observation) -> bool:
    return a.kind == b.kind and a.content == b.content


def _abs_difference(x: float, y: float, differs: bool) -> float | None:
    gap = abs(y - x) if differs else 0.0
    return gap if math.isfinite(gap) else None


def _read_scalar(observation: Observation | None) -> float | None:
    """The single real number of an observation; None if it is not one number."""
    if observation is None or observation.shape not in ((), (1,)):
        return None
    numbers = _read_elements(observation)
    return numbers[0] if numbers else None


def _read_elements(observation: Observation) -> tuple[float, ...] | None:
    """The real numbers of a small observation; None if it is large, complex or not numeric."""
    if not isinstance(observation.content, bytes) or not observation.dtype:
        return None
    from pytest_repro.values.dtypes import decode_numbers

    values = decode_numbers(observation.dtype, observation.content)
    if values is None or values.dtype.kind == "c":
        return None
    return tuple(float(each) for each in values)


def _find_unequal(a: Observation, b: Observation) -> list[bool]:
    """Which elements of two small observations of equal kind differ in bits."""
    if not isinstance(a.content, bytes) or not isinstance(b.content, bytes) or not a.shape[0]:
        return []
    size = len(a.content) // a.shape[0]
    parts = range(0, len(a.content), size or 1)
    return [a.content[at : at + size] != b.content[at : at + size] for at in parts]
