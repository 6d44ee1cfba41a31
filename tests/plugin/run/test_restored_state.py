"""Everything set is restored: the next test does not see that a marked one ran before it."""

from __future__ import annotations

import os
import random
import time
from contextlib import nullcontext

import pytest

from tests.conftest import Project


def test_random_states_are_restored_to_the_bit(project: Project) -> None:
    project(
        """
        import random, numpy as np, pytest
        def state(): return random.getstate(), str(np.random.get_state())
        before = None
        def test_before():
            global before
            before = state()
        @pytest.mark.parametrize("fail", [False, True])
        def test_marked(repro, fail):
            repro.record(x=random.random(), y=np.random.rand())
            if fail:
                np.random.set_bit_generator(np.random.PCG64(1))
                pytest.skip("leaves early")
        def test_seeded(seeded):
            assert seeded == 0
            np.random.rand()
        def test_after(): assert state() == before
        """
    ).check(passed=4, skipped=1)


SWITCHES = """
import os, torch, pytest, torch.utils.deterministic as fill
def switches():
    return (
        torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled(),
        fill.fill_uninitialized_memory, torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic,
        torch.backends.mkldnn.deterministic, torch.get_default_dtype(), torch.get_default_device(),
        torch.is_grad_enabled(), torch.get_num_threads(), os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
        torch.get_rng_state().tolist(), torch.backends.cuda.math_sdp_enabled(),
    )
def turn_everything():
    torch.use_deterministic_algorithms(False)
    fill.fill_uninitialized_memory = False
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.deterministic = False
    torch.backends.cuda.enable_math_sdp(False)
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":16:8"
    torch.manual_seed(99)
before = switches()
"""


def test_switches_are_restored_whatever_the_test_did(project: Project) -> None:
    pytest.importorskip("torch")
    project(
        SWITCHES
        + """
@pytest.mark.parametrize("end", ["passes", "fails", "skips"])
def test_marked(repro, end):
    if repro.run == 0:
        assert torch.are_deterministic_algorithms_enabled() and not torch.backends.cudnn.benchmark
    repro.record(x=1)
    turn_everything()
    if end == "fails": raise ValueError
    if end == "skips": pytest.skip()
def test_fixture(deterministic):
    assert torch.are_deterministic_algorithms_enabled()
    turn_everything()
    torch.manual_seed(torch.default_generator.initial_seed())
def test_after(): assert switches()[:-2] == before[:-2]
def test_marked_state():
    assert switches()[-1] == before[-1]
""",
        subprocess=True,
    ).check(passed=4, failed=1, skipped=1)


@pytest.mark.parametrize(
    ("mode", "expected"), [("True", (True, False)), ("'warn'", (True, True)), ("False", (False, False))]
)
def test_deterministic_modes(project: Project, mode: str, expected: tuple[bool, bool]) -> None:
    pytest.importorskip("torch")
    project(
        f"""
        import torch, pytest
        @pytest.mark.reproducible(deterministic={mode})
        def test_a(repro):
            repro.record(x=1)
            assert (torch.are_deterministic_algorithms_enabled(),
                    torch.is_deterministic_algorithms_warn_only_enabled()) == {expected}
        """
    ).check(passed=1)


def test_a_module_fixture_keeps_what_it_set_and_takes_it_back(project: Project) -> None:
    pytest.importorskip("torch")
    project(
        """
        import torch, pytest
        @pytest.fixture(scope="class", autouse=True)
        def double():
            before = torch.get_default_dtype()
            torch.set_default_dtype(torch.float64)
            yield
            torch.set_default_dtype(before)
        class TestA:
            def test_marked_first(self, repro): repro.record(x=torch.rand(2))
            def test_plain(self): assert torch.get_default_dtype() is torch.float64
            def test_marked_last(self, repro):
                assert torch.get_default_dtype() is torch.float64
                repro.record(x=torch.rand(2))
        """
    ).check(passed=3)
    import torch

    assert torch.get_default_dtype() is torch.float32


def test_a_function_fixture_that_saves_and_restores_is_nested_inside(project: Project) -> None:
    pytest.importorskip("torch")
    project(
        """
        import torch, pytest
        @pytest.fixture
        def off():
            before = torch.are_deterministic_algorithms_enabled()
            torch.use_deterministic_algorithms(False)
            yield
            torch.use_deterministic_algorithms(before)
        def test_marked(off, repro): repro.record(x=1)
        def test_after(): assert not torch.are_deterministic_algorithms_enabled()
        """
    ).check(passed=2)


def test_fixtures_find_the_bound_method_of_each_run(project: Project) -> None:
    project(
        """
        import pytest
        class TestA:
            @pytest.fixture(autouse=True)
            def owner(self, request):
                assert request.node._obj.__self__ is self  # as fixtures of pandas do
                pytest.skip("here")
            def test_marked(self, repro): repro.record(x=1)
        """
    ).check(skipped=1)


def test_seeded_pins_what_seeding_cannot_reach(project: Project) -> None:
    project(
        """
        import os, random, secrets, uuid, numpy as np, pytest
        random.seed()  # what ran before in this process may have left it at 0
        def draws():
            return [os.urandom(4), secrets.token_hex(4), uuid.uuid4(), random.Random().random(),
                    random.SystemRandom().random(), np.random.default_rng().random(),
                    np.random.SeedSequence().entropy, np.random.RandomState().rand(), random.random()]
        first = []
        @pytest.mark.parametrize("n", [0, 1])
        def test_equal(seeded, n):
            first.append(draws())
            assert first[0] == first[-1]
            assert len(set(map(str, draws() + draws()))) == 18
        def test_after():
            assert not set(map(str, draws())) & set(map(str, first[0]))
        def test_marked(seeded, repro): repro.record("draw", np.random.default_rng().random())
        """
    ).check(passed=4)


INTERRUPTED = """
import os, pytest, random, time, torch
@pytest.fixture(scope="module")
def wide():
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(threads)
    torch.set_rng_state(state)
@pytest.fixture
def narrow(monkeypatch):
    threads, dtype, state = torch.get_num_threads(), torch.get_default_dtype(), random.getstate()
    monkeypatch.setattr(time, "time", lambda: 1.0)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)
    torch.set_default_dtype(dtype)
    random.setstate(state)
@pytest.mark.reproducible(threads=(1, 2), dtype=("float32", "float64"))
def test_it(repro, wide, deterministic, seeded, narrow):
    repro.record(x=torch.rand(3))
    if repro.run == {run}:
        {end}
"""


@pytest.mark.parametrize(
    ("run", "end"), [(0, "raise KeyboardInterrupt"), (2, "pytest.exit('enough')"), (2, "pass")]
)
def test_fixtures_of_an_interrupted_test_restore_before_the_plugin_does(
    project: Project, run: int, end: str
) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("threadpoolctl")  # sets a variable when it is imported

    def read() -> list[object]:
        variables = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
        switches = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.deterministic
        numbers = torch.get_num_threads(), torch.get_default_dtype()
        return [switches, numbers, torch.get_rng_state().tolist(), random.getstate(), time.time, variables]

    torch.manual_seed(99)
    random.seed(99)
    before = read()
    # pytester raises it again
    with pytest.raises(KeyboardInterrupt) if "Keyboard" in end else nullcontext():
        project(INTERRUPTED.format(run=run, end=end), "--repro-replay=record")
    assert read() == before
    random.seed()


def test_a_tear_down_that_fails_after_an_interrupt_is_shown(project: Project) -> None:
    project(
        """
        import pytest
        @pytest.fixture
        def broken():
            yield
            raise ValueError("cannot tear down")
        def test_it(repro, broken): raise KeyboardInterrupt
        """,
        subprocess=True,
    ).check(says="ValueError: cannot tear down", lacks="INTERNALERROR")


def test_a_unittest_ends_after_an_interrupt(project: Project) -> None:
    project(
        """
        import unittest
        class TestA(unittest.TestCase):
            def test_it(self): raise KeyboardInterrupt
        """,
        "--repro-all",
        subprocess=True,
    ).check(exit=2, says="KeyboardInterrupt", lacks="AttributeError")
