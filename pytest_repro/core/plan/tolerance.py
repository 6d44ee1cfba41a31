"""Tolerances, by dtype."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

# torch.testing.assert_close's defaults, https://pytorch.org/docs/stable/testing.html
_DEFAULT_TOLERANCES = {
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
    """``|other - reference| <= atol + rtol * |reference|``, as in ``torch.testing.assert_close``."""

    rtol: float  # a pure number
    atol: float  # in the unit of the values

    @property
    def exact(self) -> bool:
        """Whether only equal values are within it."""
        return self.rtol == 0 and self.atol == 0


EXACT = Tolerance(0.0, 0.0)

ToleranceFunction = Callable[..., Tolerance]
"""Called with the names of the dtypes of two values, returns their tolerance."""


def exact_tolerance(*dtypes: str) -> Tolerance:
    """Equal values, for all dtypes."""
    return EXACT


def default_tolerance(*dtypes: str) -> Tolerance:
    """The tolerance of ``torch.testing`` for the coarsest of *dtypes*.

    Integers and bools are compared exactly, as in ``torch.testing``. It has no default for 8-bit floats: they
    get one step of their 3- or 2-bit fraction.
    """
    eighths = [Tolerance(0.25 if "e5m2" in name else 0.125, 1e-5) for name in dtypes if "float8" in name]
    others = [Tolerance(*_DEFAULT_TOLERANCES[name]) for name in dtypes if name in _DEFAULT_TOLERANCES]
    return max(eighths + others, key=lambda tolerance: tolerance.rtol, default=EXACT)
