"""What is new in each run, and what is made once."""

from __future__ import annotations

import pytest

from tests.conftest import Project


def test_function_fixtures_and_instances_are_fresh_wider_fixtures_are_not(project: Project) -> None:
    project(
        """
        import pytest
        made = {"session": 0, "module": 0, "class": 0, "function": 0}
        def fixture_of(scope):
            @pytest.fixture(scope=scope, name=scope + "_")
            def made_once():
                made[scope] += 1
                yield made[scope]
                made[scope] += 100
            return made_once
        a, b, c, d = map(fixture_of, made)

        @pytest.mark.reproducible(runs=3)
        class TestA:
            def test_b(self, session_, module_, class_, function_, tmp_path, repro):
                assert list(tmp_path.iterdir()) == []
                (tmp_path / "x").write_text("x")
                assert not hasattr(self, "seen")
                self.seen = True
                assert (session_, module_, class_) == (1, 1, 1)
                assert function_ == repro.run * 101 + 1
                repro.record(a=1)
            def test_c(self, class_, repro):
                assert class_ == 1
                repro.record(a=1)
        def test_after():
            assert made == {"session": 1, "module": 1, "class": 101, "function": 303}
        """
    ).check(passed=3)


def test_unittest_runs_setup_each_time_and_class_setup_once(project: Project) -> None:
    project(
        """
        import unittest, pytest, numpy as np
        log = []
        @pytest.mark.reproducible
        class TestA(unittest.TestCase):
            @classmethod
            def setUpClass(cls): log.append("class")
            @classmethod
            def tearDownClass(cls): log.append("end")
            def setUp(self): log.append("up")
            def tearDown(self): log.append("down")
            def test_a(self):
                x = np.random.rand(3)
            def test_diverges(self):
                x = np.random.default_rng().random(3)
            def test_fails(self):
                self.assertEqual(1, 2)
            def test_skips(self):
                self.skipTest("no")
            def test_subtests(self):
                x = np.ones(3)
                for i in range(3):
                    with self.subTest(i=i):
                        pass
            @unittest.expectedFailure
            def test_expected(self):
                assert 0
        def test_log():
            assert log.count("class") == log.count("end") == 1
            assert log.count("up") == log.count("down") == 12
        """
    ).check(passed=3, failed=2, skipped=1, xfailed=1, says=["locals.x", "1 != 2"])


def test_draws_in_fixtures_are_equal_in_each_run(project: Project) -> None:
    project(
        """
        import pytest, random, numpy as np
        @pytest.fixture(scope="module")
        def wide(): return [random.random() for _ in range(5)]
        @pytest.fixture
        def before(): return random.random()
        @pytest.fixture
        def after(wide): return random.random()
        @pytest.mark.parametrize("n", [1, 2])
        def test_a(before, wide, after, repro, n):
            repro.record(before=before, after=after, body=random.random(), legacy=np.random.rand())
            random.seed(0)
            assert before == random.random()
        """
    ).check(passed=2)


def test_a_wide_fixture_draws_alike_whoever_asks_first_and_keeps_its_effects(project: Project) -> None:
    project(
        """
        import pytest, random
        @pytest.fixture(scope="module", autouse=True)
        def effect():
            random.seed(99)
        @pytest.fixture(scope="module")
        def value(): return random.random()
        def test_marked(value, repro):
            random.seed(0)
            assert value == random.random()
            repro.record(value=value)
        def test_plain():
            ours = random.random()
            random.seed(99)
            assert ours == random.random()
        """
    ).check(passed=2)


def test_module_setup_that_seeds_once_does_not_part_the_runs(project: Project) -> None:
    project(
        """
        import random
        def setup_module(): random.seed(5); random.random()
        def test_a(repro): repro.record(x=random.random())
        """
    ).check(passed=1)


def test_the_run_knows_itself(project: Project) -> None:
    project(
        """
        import numpy as np
        def test_a(repro):
            assert repro.seed == 7 and repro.setting == {}
            assert repr(repro) == f"<repro: run {repro.run + 1}, seed 7>"
            a, b = repro.rng(), repro.rng()
            assert a.random() == b.random() == np.random.default_rng(7).random()
            repro.record("run is the same", 0 * repro.run)
        """,
        "--repro-seed=7",
    ).check(passed=1)


def test_the_run_knows_torch(project: Project) -> None:
    pytest.importorskip("torch")
    project(
        """
        import torch
        def test_a(repro):
            assert repro.device == torch.device("cpu")
            a, b = repro.generator(), repro.generator("cpu")
            assert torch.equal(torch.rand(3, generator=a), torch.rand(3, generator=b))
            repro.record(x=torch.rand(3))
        """
    ).check(passed=1)


@pytest.mark.parametrize("capture", ["recorded", "auto", "locals"])
def test_capture(project: Project, capture: str) -> None:
    result = project(
        f"""
        import pytest, numpy as np
        @pytest.mark.reproducible(capture={capture!r})
        def test_both(repro):
            recorded = np.random.rand(3)
            local = np.random.default_rng().random(3)
            repro.record(x=recorded)
        @pytest.mark.reproducible(capture={capture!r})
        def test_locals():
            local = np.random.rand(3)
        """
    )
    words = {"auto": ("reproduced", "reproduced"), "recorded": ("reproduced", "unobserved")}
    both, alone = words.get(capture, ("diverged", "reproduced"))
    assert {"test_both": both, "test_locals": alone} == result.verdicts


def test_locals_hold_what_counts_and_leave_the_rest(project: Project) -> None:
    result = project(
        """
        import collections, pathlib, dataclasses, os, random, time, types, numpy as np
        from unittest.mock import Mock, MagicMock
        Pair = collections.namedtuple("Pair", "left right")
        @dataclasses.dataclass
        class Batch:
            x: np.ndarray
            when: float
        class Foreign:
            def __init__(self): self.time = np.array([time.perf_counter()])
        import pytest
        @pytest.mark.reproducible
        def test_a(tmp_path):
            number, text, path = time.perf_counter(), str(time.time()), pathlib.Path(os.urandom(4).hex())
            mock, magic, foreign = Mock(spec=np.ndarray), MagicMock(), Foreign()
            objects, words = np.array([object()]), np.array([os.urandom(3).hex()])
            loop = (x for x in range(3)); members = {time.time()}
            half = [1.0, time.time(), None]
            array = np.random.rand(2)
            pair, batch = Pair(array + 1, time.time()), Batch(array * 2, time.time())
            nested = {"a": [array, {"b": (array,)}]}
            nested["self"] = nested
            assert array.sum() > 0, f"{number}"
        """
    ).check(passed=1)
    (run, _) = result.report["tests"][0]["runs"]
    assert run["observations"] == 5


def test_a_generator_among_the_locals_is_observed_by_its_state(project: Project) -> None:
    project(
        """
        import numpy as np, pytest
        @pytest.mark.reproducible
        def test_a():
            rng = np.random.default_rng()
        """
    ).check(failed=1, says="locals.rng.state['state']['state']")


def test_decorated_and_patched_tests_show_their_own_locals(project: Project) -> None:
    result = project(
        """
        import functools, numpy as np, os, pytest
        from unittest.mock import patch
        def logged(f):
            @functools.wraps(f)
            def inner(*a, **k): return f(*a, **k)
            return inner
        @pytest.mark.reproducible
        @patch("os.getpid", return_value=1)
        @logged
        def test_a(pid):
            x = np.random.rand(3)
            os.getpid()
        """
    ).check(passed=1)
    assert result.report["tests"][0]["runs"][0]["observations"] == 1


def test_a_library_first_imported_in_a_run_does_not_part_it(project: Project) -> None:
    pytest.importorskip("torch")
    project(
        """
        def test_a(repro):
            import torch
            repro.record(x=torch.rand(3))
        """,
        subprocess=True,
    ).check(passed=1)


def test_one_run_compares_nothing(project: Project) -> None:
    result = project(
        """
        import os, pytest
        def test_a(repro): repro.record(x=os.urandom(3))
        @pytest.mark.reproducible
        def test_b(): pass
        """,
        "--repro-runs=1",
    ).check(passed=2, says="2 ran once, nothing compared")
    assert result.report["tests"] == []


def test_doctests_and_all_tests_are_audited(project: Project) -> None:
    result = project(
        '''
        import numpy as np
        def double(x):
            """
            >>> y = 2
            >>> double(y)
            4
            """
            return 2 * x
        def test_a(): x = np.random.rand(3)
        def test_b(): x = np.random.default_rng().random(3)
        def test_c(): pass
        ''',
        "--repro-all",
        "--doctest-modules",
    ).check(passed=3, failed=1, says=["unobserved  test_it.py::test_c", "2 observed nothing"])
    assert result.verdicts == {
        "test_it.double": "unobserved",
        "test_a": "reproduced",
        "test_b": "diverged",
        "test_c": "unobserved",
    }
