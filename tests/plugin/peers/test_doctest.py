"""Doctests under ``--repro-all``: repeated with their globals."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import Project
from tests.plugin.peers import plain

MODULE = '''
import numpy as np
FACTOR = 2
def double(x):
    """Doubles.

    >>> double(3)
    6
    >>> double(np.ones(2)).tolist()
    [2.0, 2.0]
    >>> kept = 1
    >>> kept + FACTOR
    3
    """
    return FACTOR * x
def wrong():
    """
    >>> wrong()
    2
    """
    return 1
def once():
    """
    >>> once()
    1
    """
    global FACTOR
    calls.append(1)
    return len(calls)
calls = []
'''


def test_what_passes_plainly_passes(project: Project) -> None:
    project.write(mod=MODULE.split("def once")[0])
    (project.pytester.path / "page.txt").write_text(">>> x = 1\n>>> x + 1\n2\n\nand then\n\n>>> x\n1\n")
    args = ["--doctest-modules", "--doctest-glob=page.txt", "mod.py", "page.txt"]
    result = project.again("--repro-all", "--repro-runs=3", *args).check(passed=2, failed=1)
    assert result.run.parseoutcomes() == plain(project, *args).run.parseoutcomes()
    verdicts = [(Path(test["nodeid"]).name, test["verdict"]) for test in result.report["tests"]]
    assert verdicts == [
        ("mod.py::mod.double", "unobserved"),
        ("mod.py::mod.wrong", "failed"),
        ("page.txt::page.txt", "unobserved"),
    ]
    assert all(len(test["runs"]) == 3 for test in result.report["tests"])


def test_what_one_run_leaves_behind_is_told(project: Project) -> None:
    project.write(mod=MODULE)
    result = project.again("--repro-all", "--doctest-modules", "mod.py", "-k", "once")
    assert result.report["summary"] == {"diverged": 1}
