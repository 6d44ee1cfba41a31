"""unittest: a fresh instance for each run, the class set up once, all outcomes as they are."""

from __future__ import annotations

from tests.conftest import Project
from tests.plugin.peers import LOG, logged, plain

SOURCE = """
import random, unittest
import numpy as np, pytest
from conftest import log
@pytest.mark.reproducible
class TestIt(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        log("setUpClass")
    @classmethod
    def tearDownClass(cls):
        log("tearDownClass")
    def setUp(self):
        assert not hasattr(self, "drawn")
        self.drawn = random.random()
        self.addCleanup(log, "cleanup")
        log("setUp")
    def tearDown(self):
        log("tearDown")
    def test_a_same(self):
        log("body")
        values = np.random.rand(3)
        values += self.drawn
    def test_b_drawn(self):
        values = np.random.default_rng().random(3)
    def test_c_fails(self):
        values = np.ones(3)
        self.assertEqual(1, 2)
    def test_d_skips(self):
        self.skipTest("today")
    @unittest.expectedFailure
    def test_e_expected(self):
        values = np.ones(3)
        assert 0
    @unittest.expectedFailure
    def test_f_unexpected(self):
        values = np.ones(3)
    @unittest.skip("always")
    def test_g_skipped(self):
        raise AssertionError
"""
VERDICTS = {
    "TestIt::test_a_same": "reproduced",
    "TestIt::test_b_drawn": "diverged",
    "TestIt::test_c_fails": "failed",
    "TestIt::test_d_skips": "skipped",
    "TestIt::test_e_expected": "failed",
    "TestIt::test_f_unexpected": "failed",
    "TestIt::test_g_skipped": "skipped",
}


def test_all_outcomes(project: Project) -> None:
    project.write(conftest=LOG)
    result = project(SOURCE, "--repro-diagnose=never")
    assert result.verdicts == VERDICTS
    lines = logged(project)
    assert lines[0] == "setUpClass"
    assert lines[-1] == "tearDownClass"
    assert lines.count("setUpClass") == lines.count("tearDownClass") == 1
    assert lines[1:9] == ["setUp", "body", "tearDown", "cleanup"] * 2
    assert lines.count("setUp") == lines.count("tearDown") == lines.count("cleanup")
    without = plain(project).run.parseoutcomes()
    # The diverged one passes there; all else is as in a plain run.
    without["passed"], without["failed"] = without["passed"] - 1, without["failed"] + 1
    assert result.run.parseoutcomes() | {"passed": 0} == without | {"passed": 0}


def test_coroutines(project: Project) -> None:
    result = project(
        """
        import asyncio, unittest
        import numpy as np, pytest
        @pytest.mark.reproducible
        class TestIt(unittest.IsolatedAsyncioTestCase):
            async def asyncSetUp(self):
                await asyncio.sleep(0)
                self.drawn = np.random.rand()
            async def test_same(self):
                await asyncio.sleep(0)
                values = np.random.rand(3)
                self.assertEqual(self.drawn, np.random.RandomState(0).rand())
            async def test_drawn(self):
                values = np.random.default_rng().random(3)
            async def test_fails(self):
                values = np.ones(3)
                self.fail("no")
        """,
    ).check(passed=1, failed=2)
    assert result.verdicts == {
        "TestIt::test_drawn": "diverged",
        "TestIt::test_fails": "failed",
        "TestIt::test_same": "reproduced",
    }


def test_subtests(project: Project) -> None:
    result = project(
        """
        import unittest
        import numpy as np, pytest
        @pytest.mark.reproducible(runs=3)
        class TestIt(unittest.TestCase):
            def test_passing(self):
                values = np.ones(3)
                for n in range(3):
                    with self.subTest(n=n):
                        self.assertLess(n, 3)
            def test_failing(self):
                values = np.ones(3)
                for n in range(3):
                    with self.subTest(n=n):
                        self.assertNotEqual(n, 1)
        """
    )
    assert result.verdicts == {"TestIt::test_passing": "reproduced", "TestIt::test_failing": "failed"}
    assert result.run.parseoutcomes() == plain(project).run.parseoutcomes()
