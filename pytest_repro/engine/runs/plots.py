"""What can be drawn of runs that differ: both runs' numbers, while they are at hand."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from pytest_repro.core.compare.compare import steps
from pytest_repro.core.compare.difference import Difference
from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.plot_data import Histogram, Picture, Series, added, by_ulps, thinned
from pytest_repro.core.runs.observation import Key, Observation
from pytest_repro.core.runs.run import Run
from pytest_repro.engine.runs.distance import alike
from pytest_repro.engine.runs.recording import Recorded

MOST = 6
"""Pictures of one test: as many observations are told in full in its text."""

Compared = tuple[Run, Recorded, Recorded]
"""A run, what the one it is compared with recorded, and what it recorded itself."""

_ELEMENT = re.compile(r"\[(\d+)\]$")


def pictures(
    found: Sequence[Mismatch], compared: Iterable[Compared], mixed: Callable[[str], bool]
) -> Iterator[Picture]:
    """A picture of each series, list or array that differs, on each axis of the first run that does.

    Args:
        found: What differs.
        compared: The runs, and with what they were compared.
        mixed: Whether dtypes may differ on an axis.
    """
    return islice(_all(found, compared, mixed), MOST)


def _all(
    found: Sequence[Mismatch], compared: Iterable[Compared], mixed: Callable[[str], bool]
) -> Iterator[Picture]:
    seen = set()
    for run, reference, other in compared:
        mine = [m for m in found if (m.axis, m.value, m.at) == (run.axis, run.value, run.at)]
        mine = [m for m in mine if m.problem != "outcome"]
        if not mine:
            continue
        pair = _Pair(reference, other, mine, mixed(run.axis))
        for first in mine:
            family = pair.family(first), (first.at or (first.axis,))[0]
            if family not in seen:
                seen.add(family)
                yield pair.picture(first)


class _Pair:
    """Two runs whose values are at hand."""

    def __init__(self, reference: Recorded, other: Recorded, found: Sequence[Mismatch], mixed: bool) -> None:
        self._ours, self._theirs = reference.observations(), other.observations()
        self._measure, self._mixed = other.measure, mixed
        self._found = {(each.series, each.step, each.path): each for each in found}
        self._keys = [*self._ours, *(key for key in self._theirs if key not in self._ours)]
        self._steps = steps(self._keys)

    def family(self, each: Mismatch) -> tuple[str, str]:
        """What is drawn together: the steps of a series, or else the elements of a list."""
        if self._steps[each.series] > 1:
            return each.series, each.path
        return each.series, _ELEMENT.sub("[]", each.path)

    def picture(self, first: Mismatch) -> Picture:
        keys = self._of_family(first)
        far = {key: self._far(key) for key in keys}
        series = self._vector(first) if len(keys) == 1 else self._line(keys, far)
        name = f"{first.series}{first.path}"
        if len(keys) > 1 and self._steps[first.series] == 1:
            name = _ELEMENT.sub("", name)
        return Picture(
            name, first.axis, first.value, first.at, first.kind,
            thinned(series) if series else None, self._histogram(far),
        )  # fmt: skip

    def _of_family(self, first: Mismatch) -> list[Key]:
        if self._steps[first.series] > 1:
            return [(first.series, step, first.path) for step in range(self._steps[first.series])]
        if not _ELEMENT.search(first.path):
            return [(first.series, first.step, first.path)]
        head = _ELEMENT.sub("", first.path)
        keys = [key for key in self._keys if key[0] == first.series and key[2].startswith(head)]
        return [key for key in keys if _ELEMENT.fullmatch(key[2], len(head))]

    def _far(self, key: Key) -> Difference | None:
        """How far both runs are apart there; None where that is not known, or there is only one."""
        if key in self._found:
            return self._found[key].difference
        ours, theirs = self._ours.get(key), self._theirs.get(key)
        if ours is None or theirs is None or not alike(ours, theirs, self._mixed):
            return None
        if _same(ours, theirs):
            return Difference(0, math.prod(ours.shape), 0, max_abs=0.0)
        return self._measure(ours, theirs)  # within the tolerance

    def _line(self, keys: Sequence[Key], far: Mapping[Key, Difference | None]) -> Series:
        elements = self._steps[keys[0][0]] == 1
        places = [int(_ELEMENT.findall(k[2])[-1]) if elements else k[1] for k in keys]
        ours = tuple(_scalar(self._ours.get(key)) for key in keys)
        theirs = tuple(_scalar(self._theirs.get(key)) for key in keys)
        apart = tuple(each.max_abs if (each := far[key]) else None for key in keys)
        plain = any(each is not None for each in (*ours, *theirs))
        return Series(
            "element" if elements else "step", tuple(places), ours if plain else (), theirs if plain else (),
            apart, tuple(key in self._found for key in keys),
            next(place for place, key in zip(places, keys) if key in self._found), len(keys),
        )  # fmt: skip

    def _vector(self, only: Mismatch) -> Series | None:
        """The elements of a small vector; None of anything else."""
        key = only.series, only.step, only.path
        ours, theirs = self._ours.get(key), self._theirs.get(key)
        if ours is None or theirs is None or len(ours.shape) != 1 or ours.kind != theirs.kind:
            return None
        a, b = _elements(ours), _elements(theirs)
        unequal = _unequal(ours, theirs)
        if a is None or b is None or len(a) < 2 or not any(unequal):
            return None
        apart = tuple(_gap(x, y, differ) for x, y, differ in zip(a, b, unequal))
        return Series(
            "element", tuple(range(len(a))), a, b, apart, tuple(unequal), unequal.index(True), len(a)
        )  # fmt: skip

    def _histogram(self, far: Mapping[Key, Difference | None]) -> Histogram | None:
        known = [each for each in far.values() if each is not None]
        total, odd = (sum(getattr(each, name) for each in known) for name in ("total", "non_finite"))
        return by_ulps(added(each.ulps for each in known), total, odd)


def _same(a: Observation, b: Observation) -> bool:
    return a.kind == b.kind and a.content == b.content


def _gap(x: float, y: float, differ: bool) -> float | None:
    gap = abs(y - x) if differ else 0.0
    return gap if math.isfinite(gap) else None


def _scalar(found: Observation | None) -> float | None:
    """The one real number of an observation; None where it is none, or more."""
    if found is None or found.shape not in ((), (1,)):
        return None
    numbers = _elements(found)
    return numbers[0] if numbers else None


def _elements(found: Observation) -> tuple[float, ...] | None:
    """The real numbers of a small observation; None of what is large, complex or no number."""
    if not isinstance(found.content, bytes) or not found.element:
        return None
    from pytest_repro.values.dtypes import numbers

    values = numbers(found.element, found.content)
    if values is None or values.dtype.kind == "c":
        return None
    return tuple(float(each) for each in values)


def _unequal(a: Observation, b: Observation) -> list[bool]:
    """Which elements of two small observations of one kind differ in bits."""
    if not isinstance(a.content, bytes) or not isinstance(b.content, bytes) or not a.shape[0]:
        return []
    size = len(a.content) // a.shape[0]
    parts = range(0, len(a.content), size or 1)
    return [a.content[at : at + size] != b.content[at : at + size] for at in parts]
