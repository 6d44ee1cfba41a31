"""An array in a few numbers: what is left to say of a value that is not kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

NUMBER_FIELDS = ("min", "max", "mean", "std", "l2")
"""What is None where no element is finite."""


class Statistics(NamedTuple):
    """An array of numbers in a few of them, in the unit of the values; of complex ones the magnitudes.

    Attributes:
        min: Smallest finite element; None where none is finite.
        max: Largest finite element.
        mean: Arithmetic mean of the finite elements.
        std: Their standard deviation, that of the population.
        l2: Their Euclidean norm.
        non_finite: Number of elements that are NaN or infinite, or beyond float64.
        elements: ``(index in C order, element as text)``: the first, the last, and the three quarters.
    """

    min: float | None = None
    max: float | None = None
    mean: float | None = None
    std: float | None = None
    l2: float | None = None
    non_finite: int = 0
    elements: tuple[tuple[int, str], ...] = ()


class StatisticDifference(NamedTuple):
    """One of the statistics of two arrays that is not the same: ``("mean", 2.0, 2.5)``.

    Attributes:
        name: ``"mean"``, ``"non_finite"``, ``"element 25"``.
        a: Of the one; None where none of its elements is finite.
        b: Of the other.
    """

    name: str
    a: float | str | None
    b: float | str | None


def compare_statistics(a: Statistics, b: Statistics) -> Iterator[StatisticDifference]:
    """What is not the same in two arrays; of elements those that both tell."""
    for name in (*NUMBER_FIELDS, "non_finite"):
        x, y = getattr(a, name), getattr(b, name)
        if x != y:
            yield StatisticDifference(name, x, y)
    there = dict(b.elements)
    for index, shown in a.elements:
        if there.get(index, shown) != shown:
            yield StatisticDifference(f"element {index}", shown, there[index])
