"""Finds workers or epochs that drew the same numbers."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_repro.metrics._arguments import format_list
from pytest_repro.metrics._arrays import as_array


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Which of several series of draws are the same.

    Attributes:
        total: Number of series.
        groups: Names of the series that are the same, two or more in each group, in the given order.
    """

    total: int
    groups: tuple[tuple[Hashable, ...], ...]

    @property
    def distinct(self) -> int:
        """Number of different series."""
        return self.total - sum(len(group) - 1 for group in self.groups)

    def __bool__(self) -> bool:
        return bool(self.groups)

    def __str__(self) -> str:
        if not self.groups:
            return f"no duplicates among {self.total} draws"
        same = "; ".join(format_list(group) for group in self.groups)
        return f"{self.distinct} distinct of {self.total} draws, the same: {same}"


def duplicates(draws: Mapping[Any, object]) -> Duplicates:
    """Finds workers or epochs that drew the same numbers.

    Workers forked with a generator that nobody reseeds draw the same, and so does an epoch whose
    generator is created again. Every run repeats that, so comparing runs cannot show it. Draws are
    compared by dtype, shape and bits. A shorter series is the same as a longer one that starts with it:
    workers do not get equally many batches.

    Args:
        draws: Name (``"worker 0"``, ``(epoch, worker)``) → numbers of any dtype, of shape (draws, …),
            in drawing order; a single number is one draw. Use floats or many integers: a few small
            integers are equal by chance.

    Raises:
        TypeError: *draws* is not a mapping, or holds something else than numbers.
        ValueError: *draws* has fewer than two entries, or an empty one.
    """
    if not isinstance(draws, Mapping):
        raise TypeError(f"draws is a {type(draws).__qualname__}: expected a mapping of name to numbers")
    if len(draws) < 2:
        raise ValueError(f"draws holds {len(draws)}: expected 2 or more")
    read = {name: _check_draws(f"draws[{name!r}]", each) for name, each in draws.items()}
    groups: list[tuple[object, bytes, list[Hashable]]] = []
    for name, series in sorted(read.items(), key=lambda item: -len(item[1])):
        kind, content = (series.dtype, series.shape[1:]), series.tobytes()
        same = (names for group, longest, names in groups if group == kind and longest.startswith(content))
        names = next(same, None)
        if names is None:
            groups.append((kind, content, names := []))
        names.append(name)
    order = {name: i for i, name in enumerate(read)}
    repeated = [tuple(sorted(names, key=order.__getitem__)) for *_, names in groups if len(names) > 1]
    return Duplicates(len(read), tuple(sorted(repeated, key=lambda names: order[names[0]])))


def _check_draws(name: str, value: object) -> NDArray[Any]:
    draws = np.atleast_1d(as_array(name, value))
    if draws.dtype.kind in "US":
        raise TypeError(f"{name} has dtype {draws.dtype}: expected numbers that were drawn")
    if not draws.size:
        raise ValueError(f"{name} has shape {draws.shape} without elements: expected one draw or more")
    return draws
