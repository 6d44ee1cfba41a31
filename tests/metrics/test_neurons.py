from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_repro import metrics
from pytest_repro.metrics.neurons import _draw_rotation

RNG = np.random.default_rng(0)
UNITS = np.maximum(RNG.normal(size=(500, 12)), 0)


def test_correlations_by_hand() -> None:
    a = [[1.0, 0.0], [2.0, 1.0], [3.0, 0.0]]
    b = [[0.0, 5.0], [2.0, 5.0], [0.0, 6.0]]
    # ρ of (1, 2, 3) with (0, 2, 0) is 0, with (5, 5, 6) √3/2; (0, 1, 0) is b's first unit, halved.
    found = metrics.match_neurons(a, b)
    assert found.partners == (1, 0)
    assert found.correlations == pytest.approx((math.sqrt(3) / 2, 1))
    assert found.mean == pytest.approx((math.sqrt(3) / 2 + 1) / 2)
    assert found.excess == pytest.approx(found.mean - found.baseline)


def test_a_unit_may_correlate_with_nothing_and_yet_vary() -> None:
    others = [[1.0, 1.0], [-1.0, -1.0], [1.0, 1.0], [-1.0, -1.0]]
    found = metrics.match_neurons([[1.0], [1.0], [-1.0], [-1.0]], others)
    assert (found.correlations, found.partners, found.constant) == ((0.0,), (0,), ((), ()))
    assert str(found).endswith("(1 unit, 4 samples)")
    with pytest.raises(ValueError, match="b has one unit that is not constant"):
        metrics.match_neurons(others, [[1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [5.0, 0.0]])


@settings(deadline=None, max_examples=20)
@given(st.permutations(range(12)), st.floats(0.1, 10), st.floats(-5, 5))
def test_networks_equal_up_to_the_order_of_their_units_match(order: Any, scale: float, shift: float) -> None:
    found = metrics.match_neurons(UNITS, scale * UNITS[:, order] + shift, seed=1)
    assert [order[each] for each in found.partners] == list(range(12))
    assert found.mean == pytest.approx(1)
    assert found.one_to_one
    assert found.excess > 0.25


def test_unrelated_units_have_no_excess() -> None:
    other = np.maximum(RNG.normal(size=(500, 12)), 0)
    found = metrics.match_neurons(UNITS, other)
    assert abs(found.excess) < 0.05
    # Nor have those that share the space, in another basis.
    turned = UNITS @ _draw_rotation(12, np.random.default_rng(7))
    assert abs(metrics.match_neurons(UNITS, turned).excess) < 0.1


def test_the_seed_decides_and_no_generator_moves() -> None:
    before = np.random.get_state(legacy=False)
    first, again, other = (metrics.match_neurons(UNITS, UNITS, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.baseline != other.baseline
    assert str(np.random.get_state(legacy=False)) == str(before)


def test_units_that_are_constant_are_left_out() -> None:
    dead = np.full((500, 1), 0.1)
    found = metrics.match_neurons(np.hstack([dead, UNITS]), np.hstack([UNITS, dead]))
    assert found.constant == ((0,), (12,))
    assert found.partners == (-1, *range(12))
    assert math.isnan(found.correlations[0])
    assert found.mean == pytest.approx(1)
    assert str(found).startswith("best match 1.000, random basis 0.")
    assert str(found).endswith("(13 units, 500 samples, 2 constant units)")


def test_an_opposite_unit_is_no_match() -> None:
    found = metrics.match_neurons(UNITS, -UNITS)
    assert found.mean < 0.5
    single = metrics.match_neurons(UNITS[:, :1], -UNITS[:, [0, 0]])
    assert single.correlations == pytest.approx((-1,))


def test_no_unit_is_the_partner_of_two_where_that_is_asked() -> None:
    pytest.importorskip("scipy")
    x, y, z = UNITS[:, 0], UNITS[:, 1], UNITS[:, 2]
    a = np.stack([x, x + 0.1 * y, z], axis=1)
    b = np.stack([x, y], axis=1)
    free = metrics.match_neurons(a, b)
    assert (free.partners[:2], free.one_to_one) == ((0, 0), False)
    found = metrics.match_neurons(a, b, one_to_one=True)
    assert (found.partners, found.one_to_one) == ((0, 1, -1), True)
    assert math.isnan(found.correlations[2])
    dead = np.hstack([np.ones((500, 1)), b])
    assert metrics.match_neurons(a, dead, one_to_one=True).partners == (1, 2, -1)


def test_without_scipy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(
        ImportError, match=r"one_to_one=True needs scipy: pip install 'pytest-repro\[stats\]'"
    ):
        metrics.match_neurons(UNITS, UNITS, one_to_one=True)


@pytest.mark.parametrize("n", [1, 2, 9])
def test_rotations_are_orthogonal(n: int) -> None:
    turned = _draw_rotation(n, np.random.default_rng(0))
    assert np.allclose(turned.T @ turned, np.eye(n))


def test_tensors_and_sizes() -> None:
    torch = pytest.importorskip("torch")
    wide = torch.tensor(UNITS, dtype=torch.bfloat16)
    assert metrics.match_neurons(wide, wide).mean == pytest.approx(1)
    assert metrics.match_neurons(UNITS * 1e250, UNITS * 1e-250).mean == pytest.approx(1)
    assert len(metrics.match_neurons(UNITS, UNITS[:, :5]).partners) == 12


@pytest.mark.parametrize(
    ("a", "b", "error", "said"),
    [
        (
            UNITS,
            UNITS[:9],
            ValueError,
            r"a has shape \(500, 12\), b has \(9, 12\): expected 3",
        ),
        (UNITS[:2], UNITS[:2], ValueError, "3 samples or more"),
        (UNITS[0], UNITS, ValueError, r"a has shape \(12,\): expected \(samples, units\)"),
        (UNITS, UNITS * np.nan, ValueError, r"b\[0, 0\] is nan: expected finite"),
        (UNITS, np.ones((500, 2)), ValueError, "b has only units that are constant"),
        (UNITS, UNITS.astype(complex), TypeError, "b has dtype complex128: expected real"),
    ],
)
def test_what_are_no_activations_is_refused(a: Any, b: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        metrics.match_neurons(a, b)
