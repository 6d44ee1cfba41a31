"""Hypothesis: the same examples in each run; what it stores and says is as in a plain run."""

from __future__ import annotations

import re

import pytest

from tests.conftest import Project, Result
from tests.plugin.peers import LOG, logged, needs, plain

pytestmark = needs("hypothesis")

HEAD = """
import pytest, numpy as np
from hypothesis import HealthCheck, given, seed, settings, strategies as st
from conftest import log
"""


@pytest.fixture
def examples(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    # Hypothesis takes the folder of its database from where it was imported: it is set here.
    folder = project.pytester.path / ".hypothesis"
    monkeypatch.setenv("HYPOTHESIS_STORAGE_DIRECTORY", str(folder))
    monkeypatch.delenv("CI", raising=False)
    project.write(conftest=LOG)
    return project


def _run(project: Project, source: str, *args: str) -> Result:
    return project(HEAD + source, *args, plugins=["hypothesispytest"], subprocess=True)


def _stored(project: Project) -> dict[str, bytes]:
    folder = project.pytester.path / ".hypothesis" / "examples"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _halves(project: Project, name: str = "log") -> tuple[list[str], list[str]]:
    lines = logged(project, name)
    return lines[: len(lines) // 2], lines[len(lines) // 2 :]


DRAWING = """
from hypothesis import HealthCheck
SLOW = [HealthCheck.too_slow]
@pytest.mark.reproducible
@settings(max_examples=20, suppress_health_check=SLOW)
@given(n=st.integers(), x=st.floats())
def test_function(repro, n, x):
    log(n, x, name="function")
    repro.record("n", n)
@pytest.mark.reproducible
@pytest.mark.parametrize("kind", ["a", "b"])
@settings(max_examples=20, suppress_health_check=SLOW)
@given(n=st.integers())
def test_parametrised(repro, kind, n):
    log(n, name=f"parametrised_{kind}")
    repro.record("n", n)
class TestIt:
    @pytest.mark.reproducible
    @settings(max_examples=20, suppress_health_check=SLOW)
    @given(n=st.integers())
    def test_method(self, repro, n):
        log(n, name="method")
        repro.record("n", n)
    @settings(max_examples=20, suppress_health_check=SLOW)
    @given(n=st.integers())
    def test_unmarked(self, n):
        pass
@pytest.mark.reproducible
@given(n=st.integers())
def test_quiet(n):
    values = np.random.default_rng().random(2)
"""


def test_the_same_examples_in_every_run(examples: Project) -> None:
    result = _run(examples, DRAWING).check(passed=5, failed=1, says="observed nothing", lacks="FailedHealth")
    assert result.verdicts == {
        "test_function": "reproduced",
        "test_parametrised[a]": "reproduced",
        "test_parametrised[b]": "reproduced",
        "TestIt::test_method": "reproduced",
        "test_quiet": "unobserved",
    }
    assert result.report["tests"][0]["runs"][0]["observations"] == 20
    for name in ("function", "parametrised_a", "parametrised_b", "method"):
        first, second = _halves(examples, name)
        assert first == second
        assert len(set(first)) > 5


SAID = """
import sys
@settings(max_examples=5, database=None)
@given(n=st.integers(0, 10**9))
@pytest.mark.reproducible
def test_unsaid(n):
    log(n, name="unsaid")
@seed(11)
@settings(max_examples=5, database=None)
@given(n=st.integers(0, 10**9))
@pytest.mark.reproducible
def test_said(n):
    log(n, name="said")
@settings(max_examples=5, derandomize=True)
@given(n=st.integers(0, 10**9))
@pytest.mark.reproducible
def test_derandomised(n):
    log(n, name="derandomised")
"""


@pytest.mark.parametrize("args", [[], ["--hypothesis-seed=5"]])
def test_a_seed_of_the_user_is_respected(examples: Project, args: list[str]) -> None:
    _run(examples, SAID, *args, "--repro-seed=3")
    ours = {name: _halves(examples, name) for name in ("unsaid", "said", "derandomised")}
    assert all(first == second for first, second in ours.values())
    # Without a word of the user the seed is ours; replayed without us by Hypothesis' own option.
    plain(examples, *(args or ["--hypothesis-seed=3"]), plugins=["hypothesispytest"], subprocess=True)
    assert {name: logged(examples, name) for name in ours} == {name: ours[name][1] for name in ours}


FAILING = """
import limit
@pytest.mark.reproducible
@given(n=st.integers(0, 1000))
def test_a(n):
    log(n)
    assert n < limit.LIMIT
"""


def _said(result: Result) -> str:
    """What is said of the failure, up to what this plugin and Hypothesis' patches add to it."""
    text = result.text.split("= FAILURES =", 1)[1]
    return re.split("-+ reproducibility -+|=+ Hypothesis =+|=+ short test summary", text)[0]


def test_a_failure_is_stored_and_said_as_in_a_plain_run_and_forgotten_when_mended(examples: Project) -> None:
    # The database knows a test by its source: what is mended here is what the test calls.
    examples.write(limit="LIMIT = 50")
    result = _run(examples, FAILING).check(failed=1, says="n=50")
    assert result.verdicts == {"test_a": "failed"}
    first, second = _halves(examples)
    assert first == second
    stored = _stored(examples)
    assert stored
    # The next session begins with the stored example, in each run; nothing new is written.
    again = examples.again(plugins=["hypothesispytest"], subprocess=True).check(failed=1)
    runs = _halves(examples)
    assert runs[0] == runs[1]
    assert runs[0][0] == "50"
    assert _stored(examples) == stored
    without = plain(examples, plugins=["hypothesispytest"], subprocess=True)
    assert logged(examples)[0] == "50"
    assert _said(again) == _said(without)
    # Mended, it is forgotten by the last run.
    examples.write(limit="LIMIT = 2000")
    examples.again(plugins=["hypothesispytest"], subprocess=True).check(says="1 observed nothing")
    first, second = _halves(examples)
    assert first == second
    assert first[0] == "50"
    plain(examples, plugins=["hypothesispytest"], subprocess=True)
    assert logged(examples)[0] != "50"


def test_rehearsals_store_nothing(examples: Project) -> None:
    source = """
import pathlib
@pytest.mark.reproducible(runs=3)
@given(n=st.integers(0, 1000))
def test_a(repro, n):
    folder = pathlib.Path(__file__).parent / ".hypothesis" / "examples"
    log(repro.run, sum(path.is_file() for path in folder.rglob("*")))
    assert n < 50
"""
    _run(examples, source).check(failed=1)
    files: dict[str, set[str]] = {}
    for line in logged(examples):
        run, number = line.split()
        files.setdefault(run, set()).add(number)
    assert files["0"] == files["1"] == {"0"}
    assert files["2"] > {"0"}


STATEFUL = """
from hypothesis.stateful import RuleBasedStateMachine, rule
class Machine(RuleBasedStateMachine):
    @rule(n=st.integers(0, 10**6))
    def step(self, n):
        log(n)
TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=5, stateful_step_count=5)
TestMachine.pytestmark = [pytest.mark.reproducible]
"""


def test_state_machines_step_alike(examples: Project) -> None:
    result = _run(examples, STATEFUL, "--repro-all")
    assert len(result.report["tests"][0]["runs"]) == 2
    first, second = _halves(examples)
    assert first == second != []


COROUTINES = """
@pytest.fixture(scope='module')
def anyio_backend():
    return 'asyncio'
@pytest.mark.asyncio
@settings(max_examples=5)
@given(n=st.integers(0, 10**6))
async def test_asyncio(repro, n):
    log(n, name="asyncio")
    repro.record("n", n)
@pytest.mark.anyio
@settings(max_examples=5)
@given(n=st.integers(0, 10**6))
async def test_anyio(repro, n):
    log(n, name="anyio")
    repro.record("n", n)
"""


@needs("pytest_asyncio", "anyio")
def test_coroutines(examples: Project) -> None:
    plugins = ["hypothesispytest", "asyncio", "anyio"]
    ini = ["-o", "asyncio_default_fixture_loop_scope=function"]
    result = examples(HEAD + COROUTINES, *ini, plugins=plugins, subprocess=True).check(passed=2)
    for test, name in zip(result.report["tests"], ("asyncio", "anyio"), strict=True):
        assert test["runs"][1]["observations"] == 5
        first, second = _halves(examples, name)
        assert first == second
