"""Which workers or epochs drew the same numbers."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_repro.metrics._arguments import format_list
from pytest_repro.metrics._arrays import as_array
from pytest_repro.values.hashing import digest


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Which of several drew the same numbers.

    Attributes:
        total: Number of those that drew.
        groups: The names of those that drew the same, two or more in each, in the order given.
    """

    total: int
    groups: tuple[tuple[Hashable, ...], ...]

    @property
    def distinct(self) -> int:
        """How many drew something of their own."""
        return self.total - sum(len(group) - 1 for group in self.groups)

    def __bool__(self) -> bool:
        return bool(self.groups)

    def __str__(self) -> str:
        if not self.groups:
            return f"no duplicates among {self.total} draws"
        told = "; ".join(format_list(group) for group in self.groups)
        return f"{self.distinct} distinct of {self.total} draws, the same: {told}"


def duplicates(draws: Mapping[Any, object]) -> Duplicates:
    """Which workers or epochs drew the same numbers.

    Workers forked with a generator that nobody reseeds draw the same, and so does an epoch whose
    generator is made anew: every run repeats that, so running again cannot show it. Draws are
    compared by dtype, shape and bits. Where one drew less than another, it drew the same if all that
    it has is the beginning of what the other has: workers do not get equally many batches.

    Args:
        draws: What each drew, by a name of it (``"worker 0"``, ``(epoch, worker)``): numbers of any
            dtype, of shape (draws, …), in the order they were drawn; a single number is one draw.
            Give floats or many integers: a few small ones are equal by chance.

    Raises:
        TypeError: *draws* is no mapping, or holds what cannot be read as numbers.
        ValueError: Fewer than two drew, or one drew nothing.
    """
    if not isinstance(draws, Mapping):
        raise TypeError(f"draws is a {type(draws).__qualname__}: expected a mapping of name to numbers")
    if len(draws) < 2:
        raise ValueError(f"draws holds {len(draws)}: expected 2 or more")
    read = {name: _check_draws(f"draws[{name!r}]", each) for name, each in draws.items()}
    groups: list[_Group] = []
    for name in sorted(read, key=lambda each: -len(read[each])):
        length, own = len(read[name]), _digest_array(read[name])
        known = next((group for group in groups if group.digest_prefix(length) == own), None)
        if known is None:
            groups.append(known := _Group(read[name]))
        known.names.append(name)
    order = {name: i for i, name in enumerate(read)}
    found = [tuple(sorted(group.names, key=order.__getitem__)) for group in groups if len(group.names) > 1]
    return Duplicates(len(read), tuple(sorted(found, key=lambda names: order[names[0]])))


def _check_draws(name: str, value: object) -> NDArray[Any]:
    found = np.atleast_1d(as_array(name, value))
    if found.dtype.kind in "US":
        raise TypeError(f"{name} has dtype {found.dtype}: expected numbers that were drawn")
    if not found.size:
        raise ValueError(f"{name} has shape {found.shape} without elements: expected one draw or more")
    return found


class _Group:
    """Those that drew the same as the one that drew most."""

    def __init__(self, longest: NDArray[Any]) -> None:
        self.names: list[Hashable] = []
        self._longest = longest
        self._digests: dict[int, str] = {}

    def digest_prefix(self, length: int) -> str:
        """The digest of its first draws."""
        if length not in self._digests:
            self._digests[length] = _digest_array(self._longest[:length])
        return self._digests[length]


def _digest_array(draws: NDArray[Any]) -> str:
    plain = np.ascontiguousarray(draws)
    return digest(f"{plain.dtype}{list(plain.shape)}", [plain.reshape(-1).view("u1").data], threads=1)
