"""A few numbers that describe an array whose values are not stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

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
