from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro import metrics

times = st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=9)


def test_a_cost_by_hand() -> None:
    found = metrics.cost([0.6, 0.3, 9.0], [0.4, 0.2])
    assert (found.deterministic, found.default) == pytest.approx((0.6, 0.3))
    assert found.n == (3, 2)
    assert found.ratio == pytest.approx(2)
    assert found.percent == pytest.approx(100)
    assert str(found) == "deterministic 0.6 s, default 0.3 s (medians of 3 and 2): ratio 2.00, +100 %"


def test_determinism_may_be_faster() -> None:
    found = metrics.cost([0.32], [0.48])
    assert (round(found.ratio, 2), round(found.percent)) == (0.67, -33)
    assert str(found).endswith("ratio 0.67, -33 %")
    assert found.spread is None


def test_pairs_tell_how_sure_a_ratio_is() -> None:
    found = metrics.cost([0.2, 0.5, 0.4], [0.4, 0.4, 0.2])
    assert found.spread == pytest.approx((0.5, 2))
    assert str(found).endswith("(medians of 3 and 3): ratio 1.00, +0 % (pair by pair 0.50 to 2.00)")


@given(times, times, st.sampled_from([0.5, 8]))
def test_a_ratio_has_no_unit(on: list[float], off: list[float], unit: float) -> None:
    found = metrics.cost(on, off)
    assert found.ratio == metrics.cost([unit * each for each in on], [unit * each for each in off]).ratio
    assert found.ratio * metrics.cost(off, on).ratio == pytest.approx(1)
    assert metrics.cost(on, on).percent == 0


@pytest.mark.parametrize(
    ("on", "off", "error", "said"),
    [
        ([], [1.0], ValueError, "on is empty: expected one time or more"),
        ([1.0], [1.0, 0.0], ValueError, r"off\[1\]=0: expected a positive number of seconds"),
        ([math.nan], [1.0], ValueError, r"on\[0\]=nan: expected a positive"),
        ([math.inf], [1.0], ValueError, r"on\[0\]=inf: expected a positive"),
        (["a"], [1.0], TypeError, r"on\[0\] is a str: expected a number"),
    ],
)
def test_bad_times_are_refused(on: Any, off: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        metrics.cost(on, off)
