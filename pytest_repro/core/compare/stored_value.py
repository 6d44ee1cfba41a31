"""What a golden file or a JSON report stores of one observation: enough to compare it elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pytest_repro.core.runs.observation import Key

Number = int | float | complex

MAX_VALUES = 64
"""Most elements of an array that are stored as values."""

NUMBER_FIELDS = ("min", "max", "mean", "std", "l2")
"""Fields that are None if no element is finite."""


class Statistics(NamedTuple):
    """A few numbers that describe an array, in the unit of its values; of complex elements the magnitudes.

    Attributes:
        min: Smallest finite element; None if none is finite.
        max: Largest finite element.
        mean: Arithmetic mean of the finite elements.
        std: Standard deviation of the finite elements, that of the population.
        l2: Euclidean norm of the finite elements.
        non_finite: Number of elements that are NaN, infinite, or beyond float64.
        elements: ``(index in C order, element as text)`` of the first, the last and the three quarters.
    """

    min: float | None = None
    max: float | None = None
    mean: float | None = None
    std: float | None = None
    l2: float | None = None
    non_finite: int = 0
    elements: tuple[tuple[int, str], ...] = ()


class StoredValue(NamedTuple):
    """What is stored of one observation.

    Attributes:
        name: The recorded name in a golden file; the displayed one in a report: ``loss[3]``,
            ``model.head[2].weight``.
        kind: dtype and shape, ``"float32[4, 8]"``.
        digest: xxh3-128 of kind and bytes, 32 hexadecimal digits; also the name of the array in the file
            beside a golden file.
        values: Elements in C order, in a report of at most :data:`MAX_VALUES` numbers.
        text: Value that is no number, shortened; only in a report.
        statistics: Of an array of numbers; None if it has no elements, or if *values* are known.
        step: Place in the series, from 0; only in a golden file.
        path: Path inside the recorded value; only in a golden file.
    """

    name: str
    kind: str
    digest: str
    values: tuple[Number, ...] | None = None
    text: str | None = None
    statistics: Statistics | None = None
    step: int = 0
    path: str = ""

    @property
    def key(self) -> Key:
        """Key of the observation, in a golden file."""
        return self.name, self.step, self.path


class StatisticDifference(NamedTuple):
    """A statistic in which two arrays differ: ``("mean", 2.0, 2.5)``.

    Attributes:
        name: ``"mean"``, ``"non_finite"``, ``"element 25"``.
        a: Statistic of the first array; None if none of its elements is finite.
        b: Statistic of the second.
    """

    name: str
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
