"""Installed code that is the user's own: its state, lines and calls, and the replay line of its tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conftest import Project, Result
from tests.interpose.test_code_owner import LOCAL, install
from tests.plugin.peers import needs
from tests.plugin.test_replay_line import read_lines, split

STATE = """\
import numpy as np
rng = np.random.default_rng(0)
seen = []
def noise():
    return rng.random(3)
def counted():
    seen.append(1)
    return np.full(3, len(seen))
def unseeded():
    return np.random.default_rng().random(3)
"""
TESTS = """\
from acme import state
def test_noise():
    x = state.noise()
def test_counted():
    x = state.counted()
def test_unseeded():
    x = state.unseeded()
"""


@pytest.fixture
def acme(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``site-packages`` with a package ``acme`` and its tests; nothing says yet that it is the user's."""
    project.inquires = True
    site = tmp_path / "lib" / "site-packages"
    tests = ("acme/tests/__init__.py", "acme/tests/test_acme.py")
    install(site, "acme", "acme/__init__.py", "acme/state.py", *tests)
    (site / "acme" / "state.py").write_text(STATE)
    (site / "acme" / "tests" / "test_acme.py").write_text(TESTS)
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
    return site


def read_causes(result: Result) -> list[tuple[str, str, str]]:
    causes = [test["cause"] for test in result.report["tests"]]
    explanations = [cause["explanation"].partition("; ")[0] for cause in causes]
    return [(cause["name"], cause["location"], text) for cause, text in zip(causes, explanations)]


def list_expected(site: Path) -> list[tuple[str, str, str]]:
    left, file = "a run leaves state for the next: acme.state", site / "acme" / "state.py"
    return [
        ("shared-state", f"{file}:2", f"{left}.rng was drawn from"),
        ("shared-state", f"{file}:3", f"{left}.seen grew from 0 to 1 items"),
        ("os-entropy", f"{file}:10", "numpy.random.default_rng() draws its seed from the operating system"),
    ]


def test_a_package_installed_from_a_folder(project: Project, acme: Path) -> None:
    (acme / "acme-1.0.dist-info" / "direct_url.json").write_text(LOCAL)
    project.write(test_it=TESTS)
    result = project.again("--repro-all", subprocess=True).check(failed=3)
    assert read_causes(result) == list_expected(acme)


def test_tests_that_are_installed(project: Project, acme: Path, tmp_path: Path) -> None:
    # Only the first run has it.
    (acme / "acme" / "tests" / "__init__.py").write_text("def setup_module(module): module.ready = True")
    args = ["--repro-all", "--pyargs", "acme.tests"]
    result = project.again(*args, subprocess=True).check(failed=3)
    assert read_causes(result) == list_expected(acme)
    explanation = result.report["tests"][1]["cause"]["explanation"]
    assert explanation.endswith(
        f"; the runs first diverged at {acme / 'acme' / 'state.py'}:8, in what it returns"
    )
    *_, line = read_lines(result)
    root = project.pytester.path
    options = f"--repro-seed=0 --repro-runs=2 --repro-all --pyargs --rootdir={root}"
    assert line == f"acme.tests.test_acme::test_unseeded {options}"
    (elsewhere := tmp_path / "elsewhere").mkdir()
    os.chdir(elsewhere)
    again = project.again(*split(line), "--repro-diagnose=never", subprocess=True)
    assert read_lines(again) == [line]


@needs("xdist")
def test_a_package_named_in_the_ini_file_with_xdist(project: Project, acme: Path) -> None:
    project.ini("[tool.pytest.ini_options]\nrepro_packages = 'acme, nothing'")
    project.write(test_it=TESTS)
    args = ("--repro-all", "-n1", "-k", "unseeded")
    result = project.again(*args, plugins=["xdist"], subprocess=True).check(failed=1)
    assert read_causes(result) == list_expected(acme)[-1:]
    warning = "repro_packages: no distribution or import package named 'nothing' is installed"
    assert result.text.count(warning) == 1


def test_threads_of_a_library(project: Project, acme: Path) -> None:
    (acme / "pool.py").write_text(
        "import concurrent.futures, random\n"
        "def draw(*_): return random.Random().random()\n"
        "def work(): return list(concurrent.futures.ThreadPoolExecutor(1).map(draw, [1]))\n"
    )
    source = """
    import pool
    def test_pool(repro):
        repro.record(x=pool.work())
    """
    result = project(source, subprocess=True).check(failed=1)
    explanation = "random.Random(), called by pool.work, draws its seed from the operating system"
    assert read_causes(result) == [("os-entropy", "test_it.py:3", explanation)]
