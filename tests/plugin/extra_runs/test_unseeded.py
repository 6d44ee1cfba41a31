"""``unseeded=``: draws from global generators that only the plugin seeded."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from pytest_repro.core.runs.run import UnseededDraw
from pytest_repro.reports.failure.unseeded import format_fix
from tests.conftest import Project, Result, untraced
from tests.plugin.peers import needs

torch: Any = pytest.importorskip("torch")

SOURCE = """
import random, threading, numpy as np, pytest, torch
from numpy.random import seed
from sklearn.model_selection import train_test_split
import pytest_repro
X = np.arange(12.0).reshape(6, 2)

def test_split(repro): repro.record(x=train_test_split(X))
def test_model(repro):
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout())
    repro.record(x=model(torch.ones(2)))
def test_shuffle(repro):
    order = [1, 2, 3]
    random.shuffle(order)
    repro.record(x=order)
def test_seeded_too_late(repro):
    repro.record(x=torch.rand(2))
    torch.manual_seed(0)
    repro.record(y=torch.rand(2))
def test_outside_a_fork(repro):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        repro.record(x=torch.rand(2))
    repro.record(y=torch.rand(2))
def test_thread(repro):
    thread = threading.Thread(target=random.random)
    thread.start()
    thread.join()
    repro.record(x=1)

@pytest.fixture
def seeds(): torch.manual_seed(0)
class TestSeeded:
    def test_passes_seeds(self, repro): repro.record(x=train_test_split(X, random_state=0))
    def test_calls_seed(self, repro):
        seed(0)
        repro.record(x=np.random.rand())
    def test_fixture(self, repro, seeds): repro.record(x=torch.rand(2))
    def test_own_fixture(self, repro, seeded): repro.record(x=torch.rand(2), y=random.random())
    def test_own_functions(self, repro):
        with pytest_repro.pinned(1): repro.record(x=np.random.rand())
        repro.record(v=pytest_repro.check(random.random).outcome)
        pytest_repro.seed_all(0)
        repro.record(y=random.random())
    def test_own_generators(self, repro):
        repro.record(x=repro.rng().random(), y=torch.rand(2, generator=repro.generator()))
    def test_restores(self, repro):
        before = random.getstate()
        random.seed(1)
        repro.record(x=random.random())
        random.setstate(before)
    def test_loader(self, repro): repro.record(x=list(torch.utils.data.DataLoader(torch.ones(4, 2))))
    def test_replaced(self, repro, monkeypatch):
        monkeypatch.setattr(random, "seed", lambda a: None)
        repro.record(x=1)
def test_plain():
    for function in random.seed, seed, np.random.seed, torch.manual_seed:
        assert "seeding.py" not in str(getattr(function, "__code__", ""))
    random.random()
"""
HINT = (
    "6 tests drew from global generators that nothing in them seeded; --repro-unseeded=fail shows the lines"
)
FOUND: dict[str, list[tuple[str, int, str | None]]] = {
    "test_split": [("numpy", 7, "sklearn.model_selection.train_test_split")],
    "test_model": [("torch", 9, "torch.nn.Linear"), ("torch", 10, "torch.nn.Sequential")],
    "test_shuffle": [("random", 13, None)],
    "test_seeded_too_late": [("torch", 16, None)],
    "test_outside_a_fork": [("torch", 23, None)],
    "test_thread": [("random", 26, None)],
}
SPLIT = "sklearn.model_selection.train_test_split"
FAILURE = """
test_it.py::test_split drew random numbers that only pytest-repro seeded (unseeded='fail')

  numpy    test_it.py:7   sklearn.model_selection.train_test_split
               def test_split(repro): repro.record(x=train_test_split(X))

  why        without pytest-repro nothing seeds them: each run of the program draws other numbers
  fix        pass a seed to sklearn.model_selection.train_test_split, if it takes one; or call
             np.random.seed(0) in the test or in its fixtures
"""


def get_draws(result: Result) -> dict[str, list[tuple[Any, ...]]]:
    rows = {test["nodeid"].split("::", 1)[1]: test.get("unseeded", []) for test in result.report["tests"]}
    return {
        name: [(row["generator"], row.get("location"), row.get("via")) for row in found]
        for name, found in rows.items()
        if found
    }


def locate(found: dict[str, list[tuple[str, int, str | None]]]) -> dict[str, list[tuple[Any, ...]]]:
    return {name: [(g, f"test_it.py:{line}", via) for g, line, via in each] for name, each in found.items()}


@untraced
def test_by_default_they_are_counted(project: Project) -> None:
    result = project(SOURCE).check(passed=16, exit=0, says=f"unseeded  {HINT}")
    assert get_draws(result) == locate({name: rows[:1] for name, rows in FOUND.items()})


@untraced
def test_the_line_is_looked_for_in_the_last_run_and_in_place_of_no_debugger(project: Project) -> None:
    source = """
    import random, sys, pytest
    number = 0
    def test_traced_once(repro):
        global number
        number += 1
        repro.record(x=random.random())
        assert number <= 2
    @pytest.fixture
    def debugger():
        sys.settrace(trace := lambda *args: None)
        yield trace
        sys.settrace(None)
    def test_debugged(repro, debugger):
        repro.record(x=random.random())
        assert sys.gettrace() is debugger
    def test_late(repro):
        for _ in range(3000): pass
        repro.record(x=random.random())
    """
    result = project(source).check(passed=3, exit=0)
    assert get_draws(result) == {
        "test_traced_once": [("random", "test_it.py:6", None)],
        "test_debugged": [("random", None, None)],
        "test_late": [("random", None, None)],
    }


def test_fail_names_generator_line_and_call(project: Project) -> None:
    result = project(SOURCE, "--repro-unseeded=fail")
    result.check(failed=6, passed=10, exit=1, says=[*FAILURE.splitlines()], lacks=[HINT, "DrawWatch"])
    result.check(says="FAILED test_it.py::test_seeded_too_late - UnseededDraws: torch at test_it.py:16")
    assert get_draws(result) == locate(FOUND)
    assert set(result.verdicts.values()) == {"reproduced"}


@needs("xdist")
def test_warn_warns_also_under_workers(project: Project) -> None:
    project.ini('[tool.pytest]\nrepro_unseeded = "warn"')
    result = project(SOURCE, "-n1", plugins=["xdist"])
    warning = "UnseededDrawWarning: random numbers that only pytest-repro seeded: torch at test_it.py:9"
    result.check(passed=16, warnings=6, exit=0, says=warning, lacks=HINT)
    assert get_draws(result) == locate(FOUND)


def test_a_seed_that_cannot_be_watched(project: Project) -> None:
    source = """
    import pytest, torch
    @pytest.mark.reproducible(unseeded="fail")
    def test_default_generator(repro):
        torch.default_generator.manual_seed(0)
        repro.record(x=torch.rand(2))
    @pytest.mark.reproducible(unseeded="fail", runs=1)
    def test_once(repro): repro.record(x=torch.rand(2))
    @pytest.mark.xfail
    @pytest.mark.reproducible(unseeded="fail")
    def test_expected(repro): repro.record(x=torch.rand(2))
    """
    project(source).check(passed=1, failed=1, xfailed=1, says="test_once drew random numbers")


def test_nothing_stays_replaced(project: Project) -> None:
    before = [random.seed, random.setstate, np.random.seed, torch.manual_seed, torch.set_rng_state]
    source = """
    import random, numpy, torch
    def test_a(repro, monkeypatch):
        monkeypatch.setattr(numpy.random, "seed", print)
        repro.record(x=torch.rand(2), y=random.random())
    """
    project(source).check(passed=1)
    assert before == [random.seed, random.setstate, np.random.seed, torch.manual_seed, torch.set_rng_state]


@pytest.mark.parametrize("value", ["never", ""])
def test_other_words_are_refused(project: Project, value: str) -> None:
    allowed = 'one of "allow", "warn", "fail"'
    project("def test_a(repro): repro.record(x=1)", f"--repro-unseeded={value}").check(exit=4, says=allowed)


def test_modules_of_torch_take_no_seed() -> None:
    lines = [UnseededDraw("torch", f"net.py:{at}", via) for at, via in ((3, "torch.nn.Linear"), (5, ""))]
    assert format_fix(lines[:1]) == "call torch.manual_seed(0) in the test or in its fixtures"
    assert format_fix(lines).startswith("draw from a generator with a seed, made once: torch.Generator()")


def test_the_seed_of_fit_is_a_parameter_of_the_estimator() -> None:
    draws = [
        UnseededDraw("numpy", "a.py:3", via) for via in (SPLIT, "sklearn.ensemble._forest.BaseForest.fit")
    ]
    assert format_fix(draws) == (
        "create the estimator with random_state=0; or "
        f"pass a seed to {SPLIT}, if it takes one; or call np.random.seed(0) in the test or in its fixtures"
    )
