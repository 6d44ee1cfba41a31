"""How far one ulp carries."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from pytest_repro.assertions.instability import probe_instability
from tests.conftest import Project


def logistic(x: Any) -> list[Any]:
    """A chaotic map: a distance grows by 1.64 a step in the mean (its Lyapunov exponent is ln 1.64)."""
    steps = []
    for _ in range(60):
        x = 3.9 * x * (1 - x)
        steps.append(x + 0)
    return steps


def test_chaos_is_told_by_how_much_it_amplifies() -> None:
    found = probe_instability(logistic, np.array([0.3, 0.2]))
    assert (found.repeatable, found.first_step, found.steps) == (True, 0, 60)
    assert found.perturbation == math.ulp(0.3)
    assert found.amplification == found.max_abs / found.perturbation > 1e6
    assert str(found) == (
        f"moved by {found.perturbation:.3g}, the result by {found.max_abs:.3g}, from step 0 of 60 on: "
        f"× {found.amplification:.3g}"
    )


def test_what_draws_by_itself_is_not_taken_for_chaos() -> None:
    found = probe_instability(lambda x: x + np.random.default_rng().random(), np.ones(2))
    assert not found.repeatable
    assert str(found).startswith("not repeatable: ")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("sign", [1, -1])
def test_an_element_is_moved_away_from_zero(dtype: str, sign: int) -> None:
    torch = pytest.importorskip("torch")
    given: list[Any] = []
    before = torch.tensor([0.25, sign * 1.5, 0.5], dtype=getattr(torch, dtype))
    found = probe_instability(lambda x: given.append(x) or x * 2, before, ulps=3)  # type: ignore[func-returns-value]
    ulp = torch.finfo(before.dtype).eps
    assert given[2].tolist() == [0.25, sign * (1.5 + 3 * ulp), 0.5]
    assert (found.perturbation, found.max_abs, found.amplification) == (3 * ulp, 6 * ulp, 2)
    assert torch.equal(before, given[0])


@pytest.mark.parametrize(
    ("value", "ulps", "becomes"),
    [
        (0.0, -1, -5e-324),  # there is nothing nearer to zero
        (0.0, 1, 5e-324),
        (5e-324, -3, -1e-323),
        (-1.5, -1, -1.5 + math.ulp(1.5)),
    ],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_across_zero_and_in_either_byte_order(value: float, ulps: int, becomes: float, order: str) -> None:
    given: list[Any] = []
    before = np.array([value], f"{order}f8")
    found = probe_instability(lambda x: given.append(x) or x * 2, before, ulps=ulps)  # type: ignore[func-returns-value]
    assert given[2].tolist() == [becomes]
    assert found.perturbation == abs(becomes - value)


@pytest.mark.parametrize(("value", "ulps"), [(np.inf, 1), (np.nan, 1), (np.finfo("f4").max, 1), (1.0, 2**70)])
def test_no_finite_number_lies_there(value: float, ulps: int) -> None:
    with pytest.raises(ValueError, match=r"index=0: .* is not finite, or no finite number is \d+ ulps fur"):
        probe_instability(lambda x: x, np.array([value], np.float32), ulps=ulps)


def test_a_step_that_forgets_is_stable_and_a_later_one_is_named() -> None:
    assert probe_instability(lambda x: x.sum() * 0, np.ones(3)).first_step is None
    late = probe_instability(lambda x: [np.zeros(1), np.ones(1), x], np.ones(3, np.float32), index=2)
    assert (late.first_step, late.steps) == (2, 3)
    assert math.isinf(probe_instability(lambda x: np.zeros(2 + int(x[0] > 1)), np.ones(1)).max_abs)


@pytest.mark.parametrize(
    ("tensor", "named", "error", "says"),
    [
        (np.ones(2, int), {}, TypeError, "tensor: expected a floating-point tensor or array, not ndarray"),
        ([1.0], {}, TypeError, "not list"),
        (np.ones(2), {"ulps": 0}, ValueError, "ulps=0"),
        (np.ones(2), {"index": 2}, ValueError, "index=2: the tensor has 2 elements"),
        (np.ones(0), {}, ValueError, "index=0: the tensor has 0 elements"),
    ],
)
def test_what_does_not_fit_is_named(
    tensor: Any, named: dict[str, int], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        probe_instability(lambda x: x, tensor, **named)


def test_a_test_probes_with_its_own_seed(project: Project) -> None:
    project(
        """
        import numpy as np
        from pytest_repro import probe_instability
        def test_a(repro):
            drawn = []
            found = probe_instability(lambda x: drawn.append(np.random.rand()) or x, np.ones(2))
            assert found.amplification == 1
            assert len(set(drawn)) == 1
            repro.record(x=drawn[0])
        """
    ).check(passed=1)
