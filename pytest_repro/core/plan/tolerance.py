"""How close is close enough."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

# torch.testing.assert_close's defaults, https://pytorch.org/docs/stable/testing.html
_DEFAULT_TOLERANCES: dict[str, tuple[float, float]] = {
    "float16": (1e-3, 1e-5),
    "bfloat16": (1.6e-2, 1e-5),
    "float32": (1.3e-6, 1e-5),
    "float64": (1e-7, 1e-7),
    "longdouble": (1e-7, 1e-7),
    "complex32": (1e-3, 1e-5),
    "complex64": (1.3e-6, 1e-5),
    "complex128": (1e-7, 1e-7),
}


class Tolerance(NamedTuple):
    """``|other - reference| <= atol + rtol * |reference|``, as in ``torch.testing.assert_close``.

    Attributes:
        rtol: Relative tolerance, a pure number.
        atol: Absolute tolerance, in the unit of the values.
    """

    rtol: float
    atol: float

    @property
    def exact(self) -> bool:
        """Whether equal bits are asked."""
        return self.rtol == 0 and self.atol == 0


EXACT = Tolerance(0.0, 0.0)

ToleranceFunction = Callable[..., Tolerance]
"""The tolerance for two values, by the names of their dtypes."""


def exact_tolerance(*dtypes: str) -> Tolerance:
    """Equal bits, whatever the dtypes."""
    return EXACT


def default_tolerance(*dtypes: str) -> Tolerance:
    """The tolerance of ``torch.testing`` for the coarsest of the dtypes *dtypes*.

    Dtypes that hold no fractions are compared exactly, as there; 8-bit floats, which
    ``torch.testing`` gives none for, get one step of their 3- or 2-bit fraction.
    """
    eighth = [Tolerance(0.25 if "e5m2" in e else 0.125, 1e-5) for e in dtypes if "float8" in e]
    rows = eighth + [Tolerance(*_DEFAULT_TOLERANCES[e]) for e in dtypes if e in _DEFAULT_TOLERANCES]
    return max(rows, key=lambda row: row.rtol, default=EXACT)
