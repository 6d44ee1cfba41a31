"""One value on many machines: classes of machines on which it is equal, or close."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b

from pytest_repro.cli.compare import CompareOptions, compare_value
from pytest_repro.core.compare.stored_value import Number, StoredValue

_MAX_SAMPLES = 8
"""Classes of a value of which the value is kept, if equal bits decide: more are not shown."""

_MIN: Callable[..., Number] = min
_MAX: Callable[..., Number] = max


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
        between: Values that are close to the first values of several classes.
        is_wide: Whether the extremes of a class are further apart than the tolerance.
    """

    name: str
    samples: list[StoredValue] = field(default_factory=list)
    between: int = 0
    is_wide: bool = False
    _identities: dict[bytes, int] = field(default_factory=dict)
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
        close = [n for n, first in enumerate(self.samples) if _are_close(first, value, options)]
        if not close:
            return len(self.samples)
        self.between += len(close) > 1
        self._widen(close[0], value, options)
        return close[0]

    def _widen(self, number: int, value: StoredValue, options: CompareOptions) -> None:
        """Keeps the smallest and largest elements of a class, and notes if these are not close."""
        low, high = self._extremes.get(number, (self.samples[number],) * 2)
        if value.values is None or any(isinstance(each, complex) for each in value.values):
            return  # only statistics, or numbers without an order
        low, high = (
            each._replace(values=tuple(map(choose, each.values or (), value.values)))
            for each, choose in ((low, _MIN), (high, _MAX))
        )
        self._extremes[number] = low, high
        # The digest of one of them is that of the value: two that are equal in bits are never compared.
        self.is_wide |= not _are_close(low, high._replace(digest=f"{low.digest} widened"), options)


def _are_close(a: StoredValue, b: StoredValue, options: CompareOptions) -> bool:
    mismatch = compare_value(a.name, a, b, options)
    return mismatch is None or mismatch.close
