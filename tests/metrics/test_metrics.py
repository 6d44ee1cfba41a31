"""The room as a whole: what is public, what it imports, what it records."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import Any

import pytest

import pytest_repro
from pytest_repro import metrics


def test_the_module_is_a_public_name() -> None:
    assert pytest_repro.metrics is metrics
    assert "metrics" in dir(pytest_repro)


def test_public_names_are_all_there() -> None:
    assert set(metrics.__all__) <= set(dir(metrics))
    for name in metrics.__all__:
        public = getattr(metrics, name)
        assert public.__doc__, name
        if dataclasses.is_dataclass(public):
            record: Any = public
            assert record.__dataclass_params__.frozen, name
            assert hasattr(public, "__slots__"), name
            assert public.__str__ is not object.__str__, name
        elif not isinstance(public, type):
            assert "Raises:" in public.__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        metrics.nothing


def test_no_function_is_hidden_by_a_module() -> None:
    assert not set(metrics.__all__) & set(metrics._MODULES.values())


@pytest.mark.parametrize(
    "use",
    [
        "metrics", "metrics.budget({0: 1.0, 1: 2.0}, std=1)", "metrics.failure_rate(0, 30)",
        "metrics.cost([1], [1])", "metrics.suggested_bound({0: 1.0, 1: 2.0})",
    ],
)  # fmt: skip
def test_what_needs_no_arrays_imports_no_numpy(use: str) -> None:
    code = f"import sys; from pytest_repro import metrics; {use}; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_arrays_bring_neither_torch_nor_scipy() -> None:
    use = "metrics.churn([[0, 1], [1, 0]]); "
    use += "metrics.match_neurons([[0.0], [1], [3]], [[0.0, 3], [1, 2], [2, 2]])"
    heavy = "bool({'torch', 'scipy'} & set(sys.modules))"
    code = f"import sys; from pytest_repro import metrics; {use}; sys.exit({heavy})"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
