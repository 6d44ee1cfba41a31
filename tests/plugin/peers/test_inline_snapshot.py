"""inline-snapshot: values are filled in once, and the source stays as it is otherwise."""

from __future__ import annotations

import pytest

from tests.conftest import Project
from tests.plugin.peers import needs, plain

pytestmark = needs("inline_snapshot")

SOURCE = """
import numpy as np, pytest
from inline_snapshot import snapshot
pytestmark = pytest.mark.reproducible(runs=3)
def test_first():
    values = np.arange(3)
    assert values.tolist() == snapshot({0})
    for value in values.tolist():
        assert value <= snapshot({1})
def test_second():
    values = np.arange(3)
    assert values.tolist() == snapshot({2})
"""
FILLED, EMPTY, WRONG = "[0, 1, 2]", "", "[0, 1, 3]"


def _source(project: Project) -> str:
    return (project.pytester.path / "test_it.py").read_text()


@pytest.mark.parametrize(
    ("values", "args"),
    [((FILLED, "2", WRONG), []), ((EMPTY, "", WRONG), ["--inline-snapshot=create,fix"])],
    ids=["right and wrong", "create and fix"],
)
def test_as_in_a_plain_run(project: Project, values: tuple[str, ...], args: list[str]) -> None:
    project.pytester.makepyfile(test_it=SOURCE.format(*values))
    result = project.again(*args, plugins=["inline_snapshot"], subprocess=True)
    with_plugin = _source(project), result.run.ret, result.run.parseoutcomes()
    project.pytester.makepyfile(test_it=SOURCE.format(*values))
    without = plain(project, *args, plugins=["inline_snapshot"], subprocess=True)
    assert with_plugin == (_source(project), without.run.ret, without.run.parseoutcomes()), result.text
    if args:
        assert _source(project).count("snapshot([0, 1, 2])") == 2
        assert "snapshot(2)" in _source(project)
    second = "reproduced" if args else "failed"
    assert result.verdicts == {"test_first": "reproduced", "test_second": second}
