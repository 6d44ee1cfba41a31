"""Cases that are seldom thought of: each once gave a wrong verdict, or leaked."""

from __future__ import annotations

import pytest

from tests.conftest import Project


def test_local_variables_are_let_go_before_the_tear_down(project: Project) -> None:
    project(
        """
        import gc, weakref, numpy as np, pytest
        refs = []
        class Held: pass
        @pytest.fixture
        def dead():
            gc.disable()
            yield
            alive = [each for each in refs if each() is not None]
            gc.enable()
            assert not alive
        @pytest.mark.reproducible(runs=3)
        def test_a(dead):
            held, x = Held(), np.zeros(3)
            refs.append(weakref.ref(held))
        def test_recorded(dead, repro):
            held = Held()
            refs.append(weakref.ref(held))
            repro.record(x=1)
        """
    ).check(passed=2)


def test_a_view_of_terabytes_is_passed_over(project: Project) -> None:
    project(
        """
        import numpy as np, pytest
        @pytest.mark.reproducible
        def test_a():
            wide = np.broadcast_to(np.float32(0), (2_000_000, 250_000))
            x = np.ones(3)
        """
    ).check(passed=1)


def test_a_skip_at_the_end_does_not_hide_a_failure_before(project: Project) -> None:
    project(
        """
        import itertools, pytest
        calls = itertools.count()
        @pytest.fixture
        def once():
            if next(calls): pytest.skip("only once")
        def test_a(once, repro): raise RuntimeError("the real bug")
        """
    ).check(errors=1, says=["RuntimeError: the real bug", "run 2 skipped (only once)"])


def test_parts_that_print_alike_are_told_apart(project: Project) -> None:
    project(
        """
        import itertools
        from enum import Enum
        runs = itertools.count()
        def colour(): return Enum("Colour", "RED").RED
        A, B, nan = colour(), colour(), float("nan")
        def test_a(repro): repro.record(x={A: next(runs), B: 5})
        def test_b(repro): repro.record(x={nan: next(runs), float("nan"): 2})
        """
    ).check(failed=2)


def test_the_end_of_a_wide_fixture_inside_another_test_holds(project: Project) -> None:
    pytest.importorskip("torch")
    project(
        """
        import torch, pytest
        @pytest.fixture(scope="module", params=[torch.float64, torch.float32])
        def dtype(request):
            before = torch.get_default_dtype()
            torch.set_default_dtype(request.param)
            yield request.param
            torch.set_default_dtype(before)
        def test_a(dtype, repro):
            assert torch.get_default_dtype() is dtype
            repro.record(x=torch.rand(3))
        def test_after():
            assert torch.get_default_dtype() is torch.float32
        """
    ).check(passed=3)


def test_a_function_that_others_wrapped_stays_wrapped_once(project: Project) -> None:
    project.write(
        conftest="""
        import functools, pytest
        @pytest.hookimpl(wrapper=True)
        def pytest_pyfunc_call(pyfuncitem):
            before = pyfuncitem.obj
            @functools.wraps(before)
            def wrapped(*args, **kwargs):
                assert not hasattr(before, "__wrapped__")
                return before(*args, **kwargs)
            pyfuncitem.obj = wrapped
            return (yield)
        """
    )
    project(
        """
        def test_a(repro): repro.record(x=1)
        class TestB:
            def test_b(self, repro): repro.record(x=1)
        """,
        "--repro-runs=3",
    ).check(passed=2)


def test_a_stream_kept_in_a_rehearsal_speaks_afterwards(project: Project) -> None:
    project(
        """
        import logging, sys
        kept = []
        def test_a(repro):
            kept.append(sys.stdout)
            sys.stdout.buffer.write(b""); sys.stdout.encoding.lower()
            repro.record(x=1)
        def test_b(): print("heard by the", "stream", file=kept[0])
        """,
        "-s",
    ).check(passed=2, says="heard by the stream")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_in_one_run_is_a_difference(project: Project) -> None:
    project(
        """
        import itertools, threading
        calls = itertools.count()
        def die():
            if next(calls) == 0: raise ValueError("in a thread")
        def test_a(repro):
            thread = threading.Thread(target=die)
            thread.start(); thread.join()
            repro.record(x=1)
        """,
        "-Werror",
        subprocess=True,
    ).check(failed=1, says="run 1 failed")


def test_threads_do_not_take_each_others_place(project: Project) -> None:
    result = project(
        """
        import threading
        def test_a(repro):
            def work():
                for _ in range(500): repro.record("x", 1.0)
            threads = [threading.Thread(target=work) for _ in range(4)]
            [each.start() for each in threads]; [each.join() for each in threads]
        """
    ).check(passed=1)
    assert [run["observations"] for run in result.report["tests"][0]["runs"]] == [2000, 2000]


def test_whole_numbers_of_any_size(project: Project) -> None:
    project(
        """
        import itertools
        runs = itertools.count()
        def test_same(repro): repro.record(x=10**5000, y=-(2**64))
        def test_grows(repro): repro.record(x=2 ** (70 * next(runs)))
        """
    ).check(passed=1, failed=1, says="1 in run 1, 1180591620717411303424 in run 2")


def test_a_fixture_of_the_users_own_is_left_alone(project: Project) -> None:
    result = project(
        """
        import pytest
        @pytest.fixture
        def repro(): return 3
        def test_a(repro): assert repro == 3
        """
    ).check(passed=1)
    assert result.report["tests"] == []


def test_an_unexpected_pass_is_not_hidden_by_observing_nothing(project: Project) -> None:
    project(
        """
        import pytest
        @pytest.mark.reproducible
        @pytest.mark.xfail(strict=True)
        def test_a(): pass
        """
    ).check(failed=1, says="XPASS(strict)")


def test_the_trace_option_stops_in_the_last_run_only(project: Project) -> None:
    project.write(
        conftest="""
        class Pdb:
            quitting = False
            def __init__(self, *a, **k): pass
            def setup(self, *a): pass
            def runcall(self, function, *a, **k): print("stopped here"); return function(*a, **k)
        """
    )
    result = project(
        "def test_a(repro): repro.record(x=1)",
        "--trace",
        "--pdbcls=conftest:Pdb",
        "--repro-runs=3",
        "-s",
        subprocess=True,
    ).check(passed=1)
    assert result.text.count("stopped here") == 1


def test_what_prints_past_the_capturing_prints_once(project: Project) -> None:
    result = project(
        """
        def test_a(repro, capsys, record_testsuite_property):
            with capsys.disabled(): print("Oyez")
            record_testsuite_property("A", 1)
            repro.record(x=1)
        """,
        "--junitxml=j.xml",
        "-W", "ignore",
        "--repro-runs=3",
    ).check(passed=1)  # fmt: skip
    assert result.text.count("Oyez") == 1
    assert (result.folder / "j.xml").read_text().count('name="A"') == 1


def test_all_wrong_markers_are_told_at_once(project: Project) -> None:
    result = project(
        """
        import pytest
        @pytest.mark.reproducible(runs=0)
        def test_a(): pass
        @pytest.mark.reproducible(seed=-1)
        def test_b(): pass
        """
    ).check(exit=4)
    assert "test_a: @pytest.mark.reproducible: runs=0" in result.text
    assert "test_b: @pytest.mark.reproducible: seed=-1" in result.text


def test_locals_that_do_not_count_are_named(project: Project) -> None:
    project(
        """
        import pytest
        @pytest.mark.reproducible
        def test_a():
            loss, name, seed = float("0.5"), str(1), 3
        """
    ).check(failed=1, says="not compared                     loss (float), name (str): record it")
