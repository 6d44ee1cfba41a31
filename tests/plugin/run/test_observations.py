"""The JSON report holds what was observed: enough to compare it with another machine's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pytest_repro import digest
from tests.conftest import Project

SOURCE = """
    import numpy as np, pytest
    def test_recorded(repro):
        for step in range(3): repro.record(loss=step / 4)
        repro.record(w=np.arange(100.0), name="cat")
    @pytest.mark.reproducible
    def test_locals():
        x = np.arange(4)
    def test_wild(repro): repro.record(x=repro.run)
    @pytest.mark.reproducible
    def test_fails(repro): repro.record(x=1); assert 0
    def test_nothing(repro): pass
"""


@pytest.mark.parametrize(
    ("args", "plugins", "keep"), [((), (), 512), ((), (), 0), (("-n1",), ("xdist",), 512)]
)
def test_each_test_tells_what_its_reference_run_observed(
    project: Project, args: tuple[str, ...], plugins: tuple[str, ...], keep: int
) -> None:
    project.ini(f"[tool.pytest.ini_options]\nrepro_keep_mb = {keep}")
    result = project(SOURCE, "--repro-diagnose=never", *args, plugins=plugins, subprocess=bool(args))
    tests = {test["nodeid"].split("::")[1]: test for test in result.report["tests"]}
    seen: dict[str, Any] = {n: {o["name"]: o for o in t.get("observations", [])} for n, t in tests.items()}
    large = seen["test_recorded"].pop("w")
    assert large["digest"] == digest(np.arange(100.0))
    five = [[0, "0.0"], [25, "25.0"], [50, "50.0"], [75, "75.0"], [99, "99.0"]]
    assert large["statistics"].pop("elements") == five
    assert large["statistics"] == pytest.approx(
        {"min": 0, "max": 99, "mean": 49.5, "std": np.arange(100).std(), "l2": np.sqrt(328350)}
    )
    assert seen["test_recorded"] == {
        "loss[0]": {"name": "loss[0]", "kind": "float", "digest": digest(0.0), "values": [0.0]},
        "loss[1]": {"name": "loss[1]", "kind": "float", "digest": digest(0.25), "values": [0.25]},
        "loss[2]": {"name": "loss[2]", "kind": "float", "digest": digest(0.5), "values": [0.5]},
        "name": {"name": "name", "kind": "str", "digest": digest("cat"), "text": "cat"},
    }
    assert seen["test_locals"]["locals.x"]["values"] == [0, 1, 2, 3]
    assert seen["test_wild"]["x"]["values"] == [0]
    assert seen["test_fails"] == seen["test_nothing"] == {}
    assert tests["test_locals"]["location"] == "test_it.py:5"
    assert result.report["environment"]["numpy"] == np.__version__  # which a controller does not import
    assert not {"key", "failed", "headline"} & {key for test in tests.values() for key in test}
