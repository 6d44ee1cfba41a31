"""Everything set is restored: the next test does not see that a marked one ran before it."""

from __future__ import annotations

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
