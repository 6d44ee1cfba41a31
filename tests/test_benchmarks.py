"""Every benchmark runs, at sizes that say nothing about speed."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = sorted(FOLDER.glob("bench_*.py"))
NEEDED = dict.fromkeys(("adapters", "companions", "files", "merge", "tests"), "") | {"tables": "pandas"}
"""The library that a benchmark needs, if it is not torch."""


@pytest.mark.skipif(sys.platform != "linux", reason="benchmarks fork and read /proc")
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_benchmark_runs(path: Path, tmp_path: Path) -> None:
    if (library := NEEDED.get(path.stem.removeprefix("bench_"), "torch")) and find_spec(library) is None:
        pytest.skip(f"needs {library}")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, str(path), "--quick"]
    run = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert len(run.stdout.splitlines()) >= 2, run.stdout


def test_the_readme_lists_every_benchmark() -> None:
    text = (FOLDER / "README.md").read_text()
    assert [path.name for path in SCRIPTS if f"`{path.name}" not in text] == []
