"""pytest-regressions: files are written and compared as in a plain run."""

from __future__ import annotations

from tests.conftest import Project
from tests.plugin.peers import needs, plain

pytestmark = needs("pytest_regressions")

PLUGINS = ["pytest-datadir", "regressions"]
SOURCE = """
import numpy as np, pytest
@pytest.mark.reproducible(runs=3)
def test_a(data_regression, num_regression):
    values = np.arange(3.0)
    data_regression.check({"sum": float(values.sum())})
"""


def _files(project: Project) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (project.pytester.path / "test_it").glob("*")}


def test_written_once_then_compared(project: Project) -> None:
    result = project(SOURCE, plugins=PLUGINS).check(failed=1, passed=0)
    missing = _files(project)
    (project.pytester.path / "test_it" / "test_a.yml").unlink()
    without = plain(project, plugins=PLUGINS).check(failed=1, passed=0)
    assert _files(project) == missing == {"test_a.yml": b"sum: 3.0\n"}
    assert without.run.parseoutcomes() == result.run.parseoutcomes()
    again = project.again(plugins=PLUGINS).check(passed=1)
    assert again.verdicts == {"test_a": "reproduced"}


def test_a_wrong_value_fails_and_is_replaced_on_demand(project: Project) -> None:
    project(SOURCE, "--force-regen", plugins=PLUGINS)
    project.pytester.makepyfile(test_it=SOURCE.replace("arange(3.0)", "ones(2)"))
    result = project.again(plugins=PLUGINS).check(failed=1)
    assert result.verdicts == {"test_a": "failed"}
    assert _files(project) == {"test_a.yml": b"sum: 3.0\n"}
    project.again("--regen-all", plugins=PLUGINS).check(passed=1)
    assert _files(project) == {"test_a.yml": b"sum: 2.0\n"}
