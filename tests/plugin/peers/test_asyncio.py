"""pytest-asyncio: coroutine tests are repeated, each run in a fresh task of the loop it asks for."""

from __future__ import annotations

import pytest

from tests.conftest import Project
from tests.plugin.peers import LOG, logged, needs

pytestmark = needs("pytest_asyncio")

SOURCE = """
import asyncio, random
import numpy as np, pytest, pytest_asyncio
from conftest import log
{strict}
@pytest_asyncio.fixture
async def made():
    await asyncio.sleep(0)
    log("made")
    yield random.random()
    log("closed")
@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared():
    log("shared")
    yield 1
    log("unshared")
@pytest.mark.reproducible
async def test_locals(made):
    await asyncio.sleep(0)
    drawn = np.array([made, random.random()])
    values = np.random.rand(3)
@pytest.mark.reproducible
@pytest.mark.asyncio(loop_scope="module")
async def test_shared_loop(shared):
    values = np.random.rand(3)
@pytest.mark.reproducible
async def test_drawn():
    await asyncio.sleep(0)
    values = np.random.default_rng().random(3)
@pytest.mark.reproducible
async def test_fails():
    values = np.ones(3)
    assert 0
"""
INI = "[tool.pytest.ini_options]\nasyncio_default_fixture_loop_scope = 'function'\n"


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_both_modes(project: Project, mode: str) -> None:
    project.ini(INI)
    project.write(conftest=LOG)
    source = SOURCE.format(strict="pytestmark = pytest.mark.asyncio" if mode == "strict" else "")
    # Its own coroutines left over by another test of this process would be heard of here.
    result = project(source, f"--asyncio-mode={mode}", plugins=["asyncio"], subprocess=True)
    result.check(passed=2, failed=2, lacks="warning")
    assert result.verdicts == {
        "test_locals": "reproduced",
        "test_shared_loop": "reproduced",
        "test_drawn": "diverged",
        "test_fails": "failed",
    }
    assert result.report["tests"][2]["mismatches"][0]["name"] == "locals.values"
    assert logged(project) == ["made", "closed", "made", "closed", "shared", "unshared"]
