"""syrupy: assertions are counted, and stored values written, once per test."""

from __future__ import annotations

import re
from shutil import rmtree

from tests.conftest import Project, Result
from tests.plugin.peers import needs, plain

pytestmark = needs("syrupy")

SOURCE = """
import numpy as np, pytest
@pytest.mark.reproducible(runs=3)
def test_a(snapshot):
    values = np.arange(3)
    assert {"values": values.tolist()} == snapshot
    assert "named" == snapshot(name="other")
@pytest.mark.reproducible
def test_b(snapshot):
    values = np.ones(2)
    assert values.tolist() == snapshot
@pytest.mark.reproducible
def test_file(snapshot):
    from syrupy.extensions.single_file import SingleFileSnapshotExtension
    values = np.ones(2)
    assert values.tobytes() == snapshot(extension_class=SingleFileSnapshotExtension)
"""
FOLDER = "__snapshots__"


def _stored(project: Project) -> dict[str, bytes]:
    found = (project.pytester.path / FOLDER).rglob("*")
    return {path.name: path.read_bytes() for path in found if path.is_file()}


def _counts(result: Result) -> list[str]:
    return [line for line in result.run.outlines if re.match(r"\d+ snapshots? ", line)]


def test_counted_and_written_once(project: Project) -> None:
    written = project(SOURCE, "--snapshot-update", plugins=["syrupy"]).check(
        passed=3, says="4 snapshots generated."
    )
    stored = _stored(project)
    assert sum(content.count(b"# name:") for content in stored.values()) == 3
    assert len(stored) == 2
    checked = project.again(plugins=["syrupy"]).check(passed=3, says="4 snapshots passed.")
    assert checked.report["summary"] == written.report["summary"] == {"reproduced": 3}
    assert _counts(checked) == _counts(plain(project, plugins=["syrupy"]))
    rmtree(project.pytester.path / FOLDER)
    generated = plain(project, "--snapshot-update", plugins=["syrupy"])
    assert _counts(generated) == _counts(written)
    assert _stored(project) == stored


def test_a_wrong_value_is_told_once(project: Project) -> None:
    project(SOURCE, "--snapshot-update", plugins=["syrupy"])
    project.pytester.makepyfile(test_it=SOURCE.replace("np.ones(2)", "np.zeros(2)", 1))
    result = project.again(plugins=["syrupy"]).check(
        passed=2, failed=1, says=["1 snapshot failed. 3 snapshots passed."]
    )
    assert result.verdicts == {"test_a": "reproduced", "test_b": "failed", "test_file": "reproduced"}
    assert _counts(result) == _counts(plain(project, plugins=["syrupy"]))


def test_a_value_nobody_asked_for_is_still_unused(project: Project) -> None:
    project(SOURCE, "--snapshot-update", plugins=["syrupy"])
    project.pytester.makepyfile(test_it=SOURCE.replace('    assert "named" == snapshot(name="other")\n', ""))
    result = project.again(plugins=["syrupy"]).check(passed=3)
    assert _counts(result) == _counts(plain(project, plugins=["syrupy"])) != []
    assert "1 snapshot unused" in result.text
