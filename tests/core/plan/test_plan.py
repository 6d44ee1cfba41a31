from __future__ import annotations

import pytest

from pytest_repro.core.plan.plan import EXACT, Tolerance, default_tolerance

torch = pytest.importorskip("torch")

_FRACTIONS = ("float16", "bfloat16", "float32", "float64", "complex32", "complex64", "complex128")


@pytest.mark.parametrize("element", _FRACTIONS)
def test_is_that_of_torch_testing(element: str) -> None:
    from torch.testing._comparison import default_tolerances

    assert Tolerance(*default_tolerances(getattr(torch, element))) == default_tolerance(element)


def test_the_coarser_of_two_counts() -> None:
    assert default_tolerance("float64", "bfloat16") == default_tolerance("bfloat16")
    assert default_tolerance("float8_e4m3fn", "float32").rtol == 0.125


@pytest.mark.parametrize("element", ["int64", "bool", "", "raw12"])
def test_what_holds_no_fractions_is_compared_exactly(element: str) -> None:
    assert default_tolerance(element) == EXACT
    assert default_tolerance(element).exact
