"""One value on many machines: classes of machines on which it is equal, or close."""

from __future__ import annotations

import math
import sys
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b

from pytest_repro.cli.compare import CompareOptions, compare_value
from pytest_repro.core.compare.stored_value import Number, StoredValue

_MAX_SAMPLES = 8  # classes of a value of which the value is kept, if equal bits decide: more are not shown
_MIN: Callable[..., Number] = min
_MAX: Callable[..., Number] = max
_FLOAT: Callable[..., float] = float


@dataclass(slots=True)
class ValueClasses:
    """The classes of one value, numbered from 0 in the order of their first machines.

    Bit for bit, a class is one identity. Within a tolerance, a value belongs to the first class whose first
    value it is close to: as if each machine were compared with the first machine of its class. Closeness is
    not transitive, so two machines of one class may be too far apart, and two machines of different classes
    close: the attributes count what was seen of this.

    Attributes:
        samples: The first value of each class; bit for bit, of the first classes only.
        identity_count: Number of different bits.
    """

    name: str
    samples: list[StoredValue] = field(default_factory=list)
    between: int = 0  # values that are close to the first values of several classes
    is_wide: bool = False  # whether the extremes of a class are further apart than the tolerance
    _identities: dict[bytes, int] = field(default_factory=dict)
    _order: list[tuple[float, int]] = field(default_factory=list)  # position and class, sorted
    _without_order: list[int] = field(default_factory=list)
    _extremes: dict[int, tuple[StoredValue, StoredValue]] = field(default_factory=dict)

    @property
    def identity_count(self) -> int:
        return len(self._identities)

    def classify(self, value: StoredValue, options: CompareOptions) -> int:
        """The class of *value*, maybe a new one."""
        key = blake2b(repr(value.identity).encode(), digest_size=16).digest()
        if key not in self._identities:
            exact = options.tolerance.exact
            found = len(self._identities) if exact else self._find_close(value, options)
            self._identities[key] = found
            if found == len(self.samples) and not (exact and found >= _MAX_SAMPLES):
                self.samples.append(value)
        return self._identities[key]

    def _find_close(self, value: StoredValue, options: CompareOptions) -> int:
        if value.values is None and not (options.use_statistics and value.statistics):
            return len(self.samples)  # of a large array or a text, only equal bits are known to be close
        key, window = _measure_position(value, options)
        near = self._order
        if key is not None:
            near = near[
                bisect_left(near, (key - window, -1)) : bisect_right(near, (key + window, sys.maxsize))
            ]
        candidates = sorted([*(number for _, number in near), *self._without_order])
        close = [n for n in candidates if _are_close(self.samples[n], value, options)]
        if close:
            self.between += len(close) > 1
            self._widen(close[0], value, options)
            return close[0]
        new = len(self.samples)
        if key is None:
            self._without_order.append(new)
        else:
            insort(self._order, (key, new))
        return new

    def _widen(self, number: int, value: StoredValue, options: CompareOptions) -> None:
        """Keeps the smallest and largest elements of a class, and notes if these are not close."""
        low, high = self._extremes.get(number, (self.samples[number],) * 2)
        least, most, new = (each.values or () for each in (low, high, value))
        if not new or any(isinstance(each, complex) for each in (*least, *new)):
            return  # only statistics, or numbers without an order
        wider = (
            low._replace(values=tuple(map(_MIN, least, new))),
            # Another digest: two values of equal digests are never compared.
            high._replace(values=tuple(map(_MAX, most, new)), digest="the largest"),
        )
        if wider != (low, high):
            self._extremes[number] = wider
            self.is_wide |= not _are_close(*wider, options)


def _measure_position(value: StoredValue, options: CompareOptions) -> tuple[float | None, float]:
    """The sum of the elements, and how far that of a close value may be away; None if it has no such place.

    If ``|b - a| <= atol + rtol * |a|`` for each of n elements, then the sums are within
    ``n * atol + rtol * sum(|a|)`` of each other, and ``sum(|a|) <= (sum(|b|) + n * atol) / (1 - rtol)``.
    So of thousands of classes few are compared.
    """
    (rtol, atol), numbers = options.tolerance, value.values
    if numbers is None and options.use_statistics and value.statistics is not None:
        numbers = () if value.statistics.mean is None else (value.statistics.mean,)
    if not numbers or rtol >= 1 or any(isinstance(each, complex) for each in numbers):
        return None, math.inf
    try:
        total, size = (math.fsum(map(convert, numbers)) for convert in (_FLOAT, abs))
    except (OverflowError, ValueError):  # beyond float64; inf and -inf
        return None, math.inf
    window = len(numbers) * atol + rtol * (size + len(numbers) * atol) / (1 - rtol)
    return (total, window * (1 + 1e-9) + 1e-9 * size) if math.isfinite(total) else (None, math.inf)


def _are_close(a: StoredValue, b: StoredValue, options: CompareOptions) -> bool:
    mismatch = compare_value(a.name, a, b, options)
    return mismatch is None or mismatch.close
