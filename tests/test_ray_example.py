"""The example that runs shards as tasks of Ray."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray")
pytestmark = pytest.mark.libraries

ROOT = Path(__file__).parents[1]


def test_tasks_of_ray_return_shards_that_are_merged(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / f"test_{name}.py").write_text(
            "def test_x(repro):\n    repro.record(x=repro.rng().random())\n"
        )
    variables = {
        "PYTEST_ADDOPTS": "-p repro -p repro_marker -p no:cacheprovider", "PYTHONPATH": str(ROOT),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }  # fmt: skip
    files = [f"test_{name}.py" for name in "abc"]
    command = [sys.executable, str(ROOT / "examples" / "fleet" / "run_on_ray.py"), "2", *files]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, **variables}, capture_output=True, text=True, timeout=500,
        check=False,
    )  # fmt: skip
    assert "2 shards, 3 tests\n" in done.stdout, done.stdout + done.stderr
    assert "3 compared (3 reproduced), 0 observed nothing" in done.stdout
    assert done.returncode == 0
    assert len(json.loads((tmp_path / "all.json").read_text())["tests"]) == 3
