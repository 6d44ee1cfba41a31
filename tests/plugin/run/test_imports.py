"""A library that is first imported in a run makes no run differ."""

from __future__ import annotations

import sys

import pytest

from tests.conftest import Project

DRAWS = "import random\njitter = random.random()\n"
LATE = """
    import random, sys, types
    def test_import(repro):
        import draws
        repro.record(x=random.random())
    def test_other_module(repro):
        if "made" not in sys.modules:
            sys.modules["made"] = types.ModuleType("made")
            random.random()
        repro.record(x=random.random())
"""


@pytest.mark.parametrize("args", [(), ("--repro-replay=record",), ("--repro-diagnose=always",)])
def test_draws_of_an_import_do_not_count(project: Project, args: tuple[str, ...]) -> None:
    project.write(draws=DRAWS)
    result = project(LATE, *args, subprocess=True).check(passed=2)
    assert set(result.verdicts.values()) == {"reproduced"}


@pytest.mark.skipif(sys.version_info < (3, 15), reason="needs lazy imports")
def test_draws_of_a_lazy_import_do_not_count(project: Project) -> None:
    project.write(draws=DRAWS, lazily="lazy import draws\ndef use(): return draws.jitter\n")
    source = """
    import random, sys
    import lazily
    def test_uses(repro):
        assert repro.run or "draws" not in sys.modules
        lazily.use()
        assert "draws" in sys.modules
        repro.record(x=random.random())
    """
    project(source, subprocess=True).check(passed=1)


@pytest.mark.parametrize("args", [(), ("--repro-vary=threads=1,2",)])
def test_what_repro_imports_itself_repeats_no_run(project: Project, args: tuple[str, ...]) -> None:
    pytest.importorskip("torch")
    project(
        """
        import random
        seen = []
        def test_a(repro):
            drawn = [random.random(), repro.rng().random(), repro.generator().initial_seed()]
            import numpy, torch
            drawn += [random.random(), numpy.random.rand(), torch.rand(1), repro.device.type]
            assert torch.are_deterministic_algorithms_enabled()
            assert torch.get_num_threads() == repro.setting.get("threads", torch.get_num_threads())
            repro.record(drawn=drawn)
            seen.append(repro.run)
            assert seen == list(range(repro.run + 1))
        """,
        *args, subprocess=True,
    ).check(passed=1)  # fmt: skip


def test_a_type_derived_at_import_under_a_replay(project: Project) -> None:
    project.write(
        derived="import datetime\nclass Moment(datetime.datetime): pass\nreal = type(Moment) is type\n"
    )
    project(
        """
        def test_derived(repro):
            import derived
            assert derived.real
            repro.record(x=derived.Moment(2026, 1, 2).year)
        """,
        "--repro-replay=record", subprocess=True,
    ).check(passed=1)  # fmt: skip


def test_an_import_does_not_shift_what_seeded_draws(project: Project) -> None:
    project.write(entropy="import os, random\nos.urandom(8)\nrandom.random()\n")
    source = """
    import os, random
    drawn = []
    def test_first(seeded):
        import entropy
        drawn.append((random.random(), os.urandom(4)))
    def test_again(seeded):
        import entropy
        drawn.append((random.random(), os.urandom(4)))
        assert drawn[0] == drawn[1]
    """
    project(source, subprocess=True).check(passed=2)


def test_settings_of_an_imported_library_outlive_the_test(project: Project) -> None:
    pytest.importorskip("torch")
    project.write(
        sets="""
        import os, torch
        torch.set_default_dtype(torch.float64)
        os.environ["OMP_NUM_THREADS"] = "3"
        """
    )
    source = """
    import os, pytest, torch
    def test_importing(repro):
        torch.set_grad_enabled(False)
        import sets
        repro.record(x=torch.ones(2))
    def test_later():
        assert torch.get_default_dtype() == torch.float64
        assert os.environ["OMP_NUM_THREADS"] == "3"
        assert torch.is_grad_enabled()
        assert not torch.are_deterministic_algorithms_enabled()
    """
    project(source, subprocess=True).check(passed=2)


def test_an_import_meets_neither_the_axis_nor_the_switches(project: Project) -> None:
    pytest.importorskip("torch")
    project.write(
        looks="""
        import torch
        seen = [
            torch.ones(1).dtype, torch.are_deterministic_algorithms_enabled(), torch.get_num_threads(),
            torch.utils.deterministic.fill_uninitialized_memory, torch.backends.cudnn.deterministic,
        ]
        torch.backends.cudnn.benchmark = True
        """
    )
    source = """
    import pytest, sys, torch
    before = [
        torch.ones(1).dtype, torch.are_deterministic_algorithms_enabled(), torch.get_num_threads(),
        torch.utils.deterministic.fill_uninitialized_memory, torch.backends.cudnn.deterministic,
    ]
    @pytest.mark.reproducible(dtype="float64", threads=torch.get_num_threads() + 1)
    def test_late(repro):
        sys.modules.pop("looks", None)
        import looks
        assert looks.seen == before
        inside = [torch.ones(1).dtype, torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()]
        assert inside == [torch.float64, True, before[2] + 1]
        repro.record(x=1)
    def test_own_setting(repro):
        torch.set_default_dtype(torch.float64)
        sys.modules.pop("looks", None)
        import looks
        assert looks.seen[0] == torch.ones(1).dtype == torch.float64
        repro.record(x=1)
    def test_after():
        assert torch.ones(1).dtype == before[0] and torch.get_num_threads() == before[2]
        assert torch.backends.cudnn.benchmark and not torch.are_deterministic_algorithms_enabled()
    """
    project(source, subprocess=True).check(passed=3)
