"""The command as a shell calls it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_repro import __version__, cli
from tests.cli.reports import number, report, row, run

COMMAND = [sys.executable, "-m", "pytest_repro"]


def test_it_is_found_by_its_names(tmp_path: Path) -> None:
    done = subprocess.run([*COMMAND, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"pytest-repro {__version__}\n"
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert '[project.scripts]\npytest-repro = "pytest_repro.cli:main"\n' in project
    assert callable(cli.main)


def test_help_documents_the_exit_codes(capsys: Any) -> None:
    for words in ([], ["compare"], ["env"], ["show"], ["merge"], ["history"]):
        code, out, _ = run(capsys, *words, "--help")
        assert code == 0
        for line in (
            "exit codes:",
            "  0   done",
            "  1   compare: they differ",
            "  2   the arguments cannot",
        ):
            assert line in out
    assert run(capsys)[0] == 2
    assert run(capsys, "compare", "a.json")[0] == 2


@pytest.mark.parametrize("heavy", ["numpy", "torch", "pytest"])
def test_to_read_reports_is_light(tmp_path: Path, heavy: str) -> None:
    path = report(tmp_path / "a.json", row(number("x", 1.0)), row(word="diverged"))
    code = (
        "import sys; from pytest_repro.cli import main; "
        f"main(['compare', {path!r}, {path!r}]); main(['show', {path!r}]); main(['merge', {path!r}]); "
        f"main(['history', 'add', {path + '.sqlite'!r}, {path!r}]); "
        f"main(['history', 'show', {path + '.sqlite'!r}]); sys.exit({heavy!r} in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    path = report(tmp_path / "a.json", *(row(word="diverged", nodeid=f"t.py::t{n}") for n in range(5000)))
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*COMMAND, "compare", path, path], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_console_without_the_letters_is_served(tmp_path: Path) -> None:
    path = report(tmp_path / "é.json", row(number("x", 1.0)))
    environ = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [*COMMAND, "compare", path, path], capture_output=True, text=True, env=environ, check=False
    )
    assert done.returncode == 0
    assert "\\xe9.json" in done.stdout
