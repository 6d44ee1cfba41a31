"""inline-snapshot: values are filled in once, and the source stays as it is otherwise."""

from __future__ import annotations

import pytest

from tests.conftest import Project
from tests.plugin.peers import needs, plain

pytestmark = needs("inline_snapshot")

SOURCE = """
import numpy as np, pytest
from inline_snapshot import snapshot
@pytest.mark.reproducible(runs=3)
def test_a():
    values = np.arange(3)
    assert values.tolist() == snapshot({0})
    for value in values.tolist():
        assert value <= snapshot({1})
"""
EMPTY, FILLED, WRONG = ("", ""), ("[0, 1, 2]", "2"), ("[0, 1, 3]", "2")


def _source(project: Project) -> str:
    return (project.pytester.path / "test_it.py").read_text()


def _write(project: Project, values: tuple[str, str]) -> None:
    project.pytester.makepyfile(test_it=SOURCE.format(*values))


@pytest.mark.parametrize(
    ("values", "args"),
    [(FILLED, []), (WRONG, []), (EMPTY, ["--inline-snapshot=create"]), (WRONG, ["--inline-snapshot=fix"])],
    ids=["right", "wrong", "create", "fix"],
)
def test_as_in_a_plain_run(project: Project, values: tuple[str, str], args: list[str]) -> None:
    _write(project, values)
    result = project.again(*args, plugins=["inline_snapshot"], subprocess=True)
    mine = _source(project), result.run.ret, result.run.parseoutcomes()
    _write(project, values)
    without = plain(project, *args, plugins=["inline_snapshot"], subprocess=True)
    assert mine == (_source(project), without.run.ret, without.run.parseoutcomes()), result.text
    if args:
        assert "snapshot([0, 1, 2])" in _source(project)
        assert "snapshot(2)" in _source(project)
    assert result.verdicts == {"test_a": "failed" if values == WRONG and not args else "reproduced"}
