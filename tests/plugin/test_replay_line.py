"""The replay line of a failure runs as it is printed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.conftest import Project, Result

ITEMS = r"""
import itertools, pytest
calls = itertools.count()
@pytest.mark.parametrize("v", [*"abcdefgh"], ids=[
    "a b", "it's", 'say "x"', "$HOME `id`", "[in] a::b", "new\nline", "ünï\xa0", "back\\slash!",
])
def test_a(repro, v): repro.record(x=next(calls))
"""
ONE = """
import itertools
calls = itertools.count()
class TestA:
    def test_b(self, repro): repro.record(x=next(calls))
"""


def read_lines(result: Result) -> list[str]:
    return [line.partition("pytest ")[2] for line in result.run.outlines if line.startswith("  replay  ")]


def split(line: str) -> list[str]:
    """The words that a shell passes on."""
    return subprocess.check_output(["bash", "-c", f'printf "%s\\0" {line}'], text=True).split("\0")[:-1]


@pytest.mark.parametrize("escaping", ["false", "true"])
def test_ids_with_special_characters(project: Project, escaping: str) -> None:
    option = "disable_test_id_escaping_and_forfeit_all_rights_to_community_support"
    project.ini(f"[tool.pytest.ini_options]\n{option} = {escaping}")
    lines = read_lines(project(ITEMS).check(failed=8))
    assert len(lines) == 8
    for line in lines:
        again = project.again(*split(line)).check(failed=1)
        assert read_lines(again) == [line]


def test_installed_tests_and_other_folders(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "site" / "lib").mkdir(parents=True)
    (tmp_path / "site" / "lib" / "__init__.py").touch()
    (file := tmp_path / "site" / "lib" / "test_in.py").write_text(ONE)
    project.ini("[tool.pytest.ini_options]\nconsole_output_style = 'classic'")
    monkeypatch.syspath_prepend(tmp_path / "site")
    for folder in (project.pytester.path, project.pytester.mkdir("sub")):
        monkeypatch.chdir(folder)
        (line,) = read_lines(project.again("--pyargs", "lib.test_in").check(failed=1))
        root = project.pytester.path
        options = f"--repro-seed=0 --repro-runs=2 --rootdir={root} -c {root}/pyproject.toml"
        assert line == f"{file}::TestA::test_b {options}"
        assert read_lines(project.again(*split(line)).check(failed=1)) == [line]
        (line,) = read_lines(project.again(str(file)).check(failed=1))
        assert read_lines(project.again(*split(line)).check(failed=1)) == [line]
