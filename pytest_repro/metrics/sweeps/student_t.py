"""Student's t distribution, with the standard library alone."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist


def compute_tail(t: float, degrees: float) -> float:
    """The probability that Student's t with *degrees* degrees of freedom exceeds *t*.

    ``I_x(degrees / 2, 1 / 2) / 2`` with ``x = degrees / (degrees + t²)`` for t above 0, where I is the
    regularized incomplete beta function (Abramowitz and Stegun, Handbook of Mathematical Functions, 1964,
    26.7.1).
    """
    x, y = degrees / (degrees + t * t), t * t / (degrees + t * t)
    both = _compute_incomplete_beta(degrees / 2, 0.5, x, y) if math.isfinite(t) else 0.0
    return both / 2 if t > 0 else 1 - both / 2


def _compute_incomplete_beta(a: float, b: float, x: float, y: float) -> float:
    """I_x(a, b), where *y* is 1 - *x*, by its continued fraction (NIST DLMF, 8.17.22)."""
    if x > (a + 1) / (a + b + 2):  # beyond, it converges slowly
        return 1 - _compute_incomplete_beta(b, a, y, x)
    if x == 0:
        return 0.0
    value = 1.0
    for m in range(30 + int(3 * math.sqrt(a + b)), -1, -1):
        value = 1 + (m + 1) * (b - m - 1) * x / ((a + 2 * m + 1) * (a + 2 * m + 2)) / value
        value = 1 - (a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)) / value
    log = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(y)
    return math.exp(log) / (a * value)


@lru_cache(maxsize=256)
def solve_quantile(tail: float, degrees: float) -> float:
    """The t that Student's t exceeds with the probability *tail*, at most 0.5.

    By Newton's method from the quantile of a normal distribution, which is smaller: the tail is convex, so no
    step goes too far.
    """
    scale = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2) - math.log(math.pi * degrees) / 2
    t, step = -NormalDist().inv_cdf(tail), 1.0
    while step > 1e-12 * (1 + t):
        density = math.exp(scale - (degrees + 1) / 2 * math.log1p(t * t / degrees))
        step = (compute_tail(t, degrees) - tail) / density
        t += step
    return t
