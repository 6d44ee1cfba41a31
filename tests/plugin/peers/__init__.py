"""With the real plugin installed: each composes, and sees no more of a test than in a plain run."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

import pytest

from tests.conftest import Project, Result

#: Each run of a body leaves a line in this file: rehearsals report nothing that could be counted.
LOG = """
from pathlib import Path
def log(*words, name="log"):
    with (Path(__file__).parent / name).open("a") as file:
        print(*words, file=file)
"""


def needs(*modules: str) -> pytest.MarkDecorator:
    """Skips where one of *modules* is not installed; imports none of them."""
    missing = [name for name in modules if find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")


def logged(project: Project, name: str = "log") -> list[str]:
    """The lines that the runs left so far; none of them is left for the next call."""
    path = project.pytester.path / name
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def plain(project: Project, *args: str, plugins: Sequence[str] = (), subprocess: bool = False) -> Result:
    """Runs pytest in the folder without this plugin: only its marker is known."""
    loaded = [word for name in ("repro_marker", *plugins) for word in ("-p", name)]
    run = project.pytester.runpytest_subprocess if subprocess else project.pytester.runpytest_inprocess
    return Result(run("-p", "no:cacheprovider", *loaded, *args), project.pytester.path)
