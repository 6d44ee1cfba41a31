"""anyio: coroutine tests are repeated by its own runner."""

from __future__ import annotations

from tests.conftest import Project
from tests.plugin.peers import LOG, logged, needs

pytestmark = needs("anyio")

SOURCE = """
import random
import anyio
import numpy as np, pytest
from conftest import log
pytestmark = [pytest.mark.anyio, pytest.mark.reproducible]
@pytest.fixture
def anyio_backend():
    return "asyncio"
@pytest.fixture
async def made():
    await anyio.sleep(0)
    log("made")
    yield random.random()
    log("closed")
async def test_locals(made):
    await anyio.sleep(0)
    assert made == random.random()
    values = np.random.rand(3)
async def test_group(repro):
    async def record(n):
        repro.record(f"value {n}", np.random.rand())
    async with anyio.create_task_group() as group:
        for n in range(3):
            group.start_soon(record, n)
async def test_drawn():
    values = np.random.default_rng().random(3)
async def test_fails():
    values = np.ones(3)
    assert 0
"""


def test_repeated_by_its_runner(project: Project) -> None:
    project.write(conftest=LOG)
    result = project(SOURCE, plugins=["anyio"])
    result.check(passed=2, failed=2, lacks="warning")
    assert result.verdicts == {
        "test_locals": "reproduced",
        "test_group": "reproduced",
        "test_drawn": "diverged",
        "test_fails": "failed",
    }
    assert result.report["tests"][1]["runs"][1]["observations"] == 3
    assert logged(project) == ["made", "closed"] * 2
