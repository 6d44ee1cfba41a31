"""What a golden file or a JSON report stores of one observation: enough to compare it elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pytest_repro.core.compare.mismatch import compare_kinds
from pytest_repro.core.runs.observation import Container, Key

Number = int | float | complex

MAX_VALUES = 64
"""Most elements of an array that are stored as values."""

NUMBER_FIELDS = ("min", "max", "mean", "std", "l2")
"""Fields that are None if no element is finite."""


class Statistics(NamedTuple):
    """A few numbers that describe an array, in the unit of its values; of complex elements the magnitudes.

    All but the last two describe the finite elements, and are None if there are none.
    """

    min: float | None = None
    max: float | None = None
    mean: float | None = None
    std: float | None = None  # that of the population
    l2: float | None = None  # Euclidean norm
    non_finite: int = 0  # elements that are NaN, infinite, or beyond float64
    elements: tuple[tuple[int, str], ...] = ()  # index in C order, text: first, last and three quarters


class StoredValue(NamedTuple):
    """What is stored of one observation.

    *values* and *text* are only in a report, *step*, *path* and *sweep* only in a golden file.
    """

    name: str  # recorded in a golden file; displayed in a report: ``model.head[2].weight``
    kind: str  # dtype and shape, ``"float32[4, 8]"``
    digest: str  # xxh3-128 of kind and bytes, 32 hexadecimal digits; names the array beside a golden file
    values: tuple[Number, ...] | None = None  # at most :data:`MAX_VALUES` elements in C order
    text: str | None = None  # value that is no number, shortened
    statistics: Statistics | None = None  # None for text, without elements, or if *values* are known
    step: int = 0  # place in the series, from 0
    path: str = ""  # inside the recorded value
    containers: tuple[Container, ...] = ()  # that begin with it, in a report by displayed name
    sweep: tuple[tuple[int, float], ...] = ()  # seed and value, of a headline number of a seed sweep

    @property
    def key(self) -> Key:
        """Key of the observation, in a golden file."""
        return self.name, self.step, self.path

    @property
    def identity(self) -> tuple[object, ...]:
        """What equal values have in common."""
        return self.kind, self.digest, self.containers


def find_other_kind(a: StoredValue, b: StoredValue) -> tuple[str, str, str] | None:
    """The first value of another kind in *b*, a container that begins there or the value: name and kinds."""
    ours, theirs = map(_list_kinds, (a, b))
    found = ((name, compare_kinds(kinds, theirs.get(name, ()))) for name, kinds in ours.items())
    return next(((name, *kinds) for name, kinds in found if kinds is not None), None)


def _list_kinds(value: StoredValue) -> dict[str, list[str]]:
    kinds: dict[str, list[str]] = {value.name: []}
    for name, kind in (*value.containers, (value.name, value.kind)):
        kinds.setdefault(name, []).append(kind)
    return kinds


class StatisticDifference(NamedTuple):
    """A statistic in which two arrays differ: ``("mean", 2.0, 2.5)``; None without finite elements."""

    name: str  # ``"mean"``, ``"non_finite"``, ``"element 25"``
    a: float | str | None
    b: float | str | None


def compare_statistics(a: Statistics, b: Statistics) -> Iterator[StatisticDifference]:
    """The statistics in which two arrays differ; elements are compared if both have them."""
    for name in (*NUMBER_FIELDS, "non_finite"):
        x, y = getattr(a, name), getattr(b, name)
        if x != y:
            yield StatisticDifference(name, x, y)
    others = dict(b.elements)
    for index, text in a.elements:
        if others.get(index, text) != text:
            yield StatisticDifference(f"element {index}", text, others[index])
