from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import pytest

from pytest_repro import Repro, assert_reproducible, check
from pytest_repro.axes import list_axis_names


def test_both_functions_spell_out_the_same_arguments_and_every_axis() -> None:
    parameters = inspect.signature(check).parameters
    assert parameters == inspect.signature(assert_reproducible).parameters
    assert set(list_axis_names()) - {"ranks"} <= set(parameters)  # ranks run tests, not functions
    assert list(parameters)[-1] == "axes"


@pytest.mark.parametrize("name", ["capture", "ranks", "baseline", "seeds"])
def test_arguments_of_tests_are_refused(name: str) -> None:
    arguments: dict[str, Any] = {name: 2}
    with pytest.raises(ValueError, match=f"^{name}=2: .* for tests"):
        assert_reproducible(lambda: 1, **arguments)


def test_the_fixture_has_what_only_a_run_knows() -> None:
    public = {name for name in dir(Repro) if not name.startswith("_")}
    values = {"seed", "run", "setting", "device", "rank", "world_size"}
    assert public == values | {"record", "record_tokens", "budget", "replay", "rng", "generator"}


def test_importing_the_package_imports_no_pytest() -> None:
    code = "import pytest_repro, sys; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
