from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.metrics.sweeps.student_t import compute_tail, solve_quantile

degrees = st.floats(1, 1e5)


@given(st.floats(-1e3, 1e3), degrees)
def test_tails_are_those_of_scipy(t: float, degrees: float) -> None:
    stats = pytest.importorskip("scipy.stats")
    # Near 0 the one of scipy is off by 1e-8, with one degree of freedom.
    assert math.isclose(compute_tail(t, degrees), stats.t.sf(t, degrees), rel_tol=1e-7, abs_tol=1e-300)


@given(st.floats(1e-6, 0.5), degrees)
def test_a_quantile_has_its_tail(tail: float, degrees: float) -> None:
    assert math.isclose(compute_tail(solve_quantile(tail, degrees), degrees), tail, rel_tol=1e-9)


def test_one_degree_of_freedom_is_the_cauchy_distribution() -> None:
    for t in (0.0, 1e-9, 0.3, 1.0, 50.0):
        assert math.isclose(compute_tail(t, 1), 0.5 - math.atan(t) / math.pi, rel_tol=1e-12)
    assert (compute_tail(math.inf, 3), compute_tail(-math.inf, 3)) == (0, 1)
