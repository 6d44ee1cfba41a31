"""Runs in other interpreters: one companion per setting, its failures and its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from xml.etree import ElementTree

import pytest

import pytest_repro
from tests.conftest import Project, Result
from tests.plugin.peers import needs

unix = pytest.mark.skipif(sys.platform == "win32", reason="signals and process groups of Unix")

# ``there(repro)``: whether a companion makes this run. ``note(…)``: logs a line with the process id.
HEAD = """
import os, signal, subprocess, sys, time
import numpy as np, pytest
def there(repro):
    return repro.setting.get("process", 0) > 0
def note(*words):
    with open({folder!r} + "/noted", "a") as file:
        print(os.getpid(), *words, file=file)
"""


@pytest.fixture
def run(project: Project) -> Iterator[Run]:
    run = Run(project)
    yield run
    for pid in run.pids - {os.getpid()}:
        assert not alive(pid), f"process {pid} was left behind"


class Run:
    """Runs a project whose tests log their process ids."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.folder = project.pytester.path

    def __call__(
        self, source: str, *args: str, plugins: tuple[str, ...] = (), subprocess: bool = False
    ) -> Result:
        self.write(source)
        return self.project.again(*args, plugins=plugins, subprocess=subprocess)

    def write(self, source: str, name: str = "test_it") -> None:
        self.project.write(repro_head=HEAD.format(folder=str(self.folder)))
        self.project.write(**{name: source})
        path = self.folder / f"{name}.py"
        path.write_text("from repro_head import *\n" + path.read_text())

    @property
    def noted(self) -> list[list[str]]:
        path = self.folder / "noted"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def by(self, *words: str) -> list[int]:
        """The ids of the processes that logged *words*, in order."""
        return [int(pid) for pid, *rest in self.noted if rest[: len(words)] == list(words)]

    @property
    def pids(self) -> set[int]:
        return {int(pid) for pid, *_ in self.noted}


def alive(pid: int) -> bool:
    """Whether process *pid* runs; a zombie does not."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    if Path("/proc/self/stat").exists() or sys.platform == "win32":
        return False
    with suppress(OSError):
        os.kill(pid, 0)
        return True
    return False


def test_one_companion_serves_the_session(run: Run) -> None:
    run.project.write(
        extra="""
        import pytest
        @pytest.fixture
        def from_plugin(): return "extra"
        """,
        conftest="""
        import pytest
        def pytest_addoption(parser): parser.addini("flavour", "")
        @pytest.fixture
        def flavour(request): return request.config.getini("flavour")
        """,
    )
    run.project.ini("[tool.pytest.ini_options]\nflavour = 'sour'")
    body = """
        @pytest.fixture(scope="module")
        def wide():
            note("made", __name__)
            yield
            note("ended", __name__)
        pytestmark = pytest.mark.reproducible(process=True)
        @pytest.mark.parametrize("n", range(15))
        def test_a(repro, wide, from_plugin, flavour, tmp_path, n):
            assert (from_plugin, flavour, repro.seed) == ("extra", "sour", 7)
            assert repro.setting == {"process": int(there(repro))}
            assert not any(tmp_path.iterdir())
            note("ran", str(there(repro)), os.environ.get("PYTHONHASHSEED", "-"), tmp_path)
            repro.record(x=repro.rng().random(n), drawn=np.random.rand())
        """
    run.write(body, "test_other")
    result = run(body, "-p", "extra", "--repro-seed=7", subprocess=True).check(passed=30)
    assert set(result.verdicts.values()) == {"reproduced"}
    here, there = (set(run.by("ran", word)) for word in ("False", "True"))
    assert len(here) == len(there) == 1
    assert len(run.by("ran", "True")) == 30
    ran = [words for words in run.noted if words[1] == "ran"]
    (seed,) = {words[3] for words in ran if words[2] == "True"}
    assert (seed, seed) not in {(words[3], seed) for words in ran if words[2] == "False"}
    folders = [{words[4] for words in ran if words[2] == where} for where in ("False", "True")]
    assert len(folders[1]) == 30
    assert not folders[0] & folders[1]
    (other,) = there
    mine = [words[1:3] for words in run.noted if int(words[0]) == other and words[1] != "ran"]
    modules = ["test_it", "test_other"]
    assert mine == [[word, module] for module in modules for word in ("made", "ended")]
    assert len(run.by("made")) == len(run.by("ended")) == 4


def test_a_difference_in_a_companion_is_reported(run: Run) -> None:
    result = run(
        """
        @pytest.mark.reproducible(process=True)
        def test_order(): x = np.array([ord(c[0]) for c in {c * 3 for c in "abcdefghij"}])
        @pytest.mark.reproducible(process=2)
        def test_two(repro):
            note("two", repro.setting["process"])
            repro.record(x=repro.setting["process"])
        """,
        "--repro-diagnose=never",
    ).check(failed=2, says=["PYTHONHASHSEED", "this process and another"])
    assert set(result.verdicts.values()) == {"diverged"}
    assert len(run.pids) == 3


@unix
def test_a_companion_that_dies_is_replaced_then_abandoned(run: Run) -> None:
    result = run(
        """
        pytestmark = pytest.mark.reproducible(process=True)
        def test_a_fine(repro): note("fine"); repro.record(x=1)
        def test_b_exits(repro):
            repro.record(x=1)
            if there(repro): os._exit(3)
        def test_c_fine(repro): note("fine"); repro.record(x=1)
        def test_d_killed(repro):
            repro.record(x=1)
            if there(repro): os.kill(os.getpid(), signal.SIGKILL)
        def test_e_exits(repro):
            repro.record(x=1)
            if there(repro): os._exit(0)
        def test_f_exits(repro):
            repro.record(x=1)
            if there(repro): os._exit(0)
        def test_g_given_up(repro): note("given up"); repro.record(x=1)
        @pytest.mark.reproducible(process=False)
        def test_h_fine(repro): repro.record(x=1)
        """
    ).check(passed=3, failed=5)
    for test, says in {
        "b_exits": "died while it ran the test (exit status 3)",
        "d_killed": "died while it ran the test (killed by SIGKILL)",
        "f_exits": "died while it ran the test (exit status 0)",
        "g_given_up": "not started again: 3 were lost in a row, the last in test_it.py::test_f_exits",
    }.items():
        assert says in section(result, f"test_{test}")
    assert len(set(run.by("fine"))) == 3
    assert len(set(run.by("given"))) == 1


def section(result: Result, test: str) -> str:
    """The report of a failed test."""
    lines = result.run.outlines
    heads = [n for n, line in enumerate(lines) if line.startswith(("____", "===="))]
    begin = next(n for n in heads if f" {test} " in lines[n])
    return "\n".join(lines[begin : next(n for n in heads if n > begin)])


@unix
def test_the_reason_of_a_loss_is_reported(run: Run) -> None:
    result = run(
        """
        import ctypes
        pytestmark = pytest.mark.reproducible(process=True)
        def test_leaves(repro):
            repro.record(x=1)
            if there(repro): pytest.exit("no licence")
        def test_speaks(repro):
            repro.record(x=1)
            if there(repro):
                os.write(2, b"terminate called recursively\\n")
                os.abort()
        def test_fine(repro): repro.record(x=1)
        def crash(): ctypes.string_at(0)
        def test_crashes(repro):
            repro.record(x=1)
            if there(repro): crash()
        """
    ).check(passed=1, failed=3)
    left = section(result, "test_leaves")
    assert "was left by pytest.exit: no licence" in left
    assert "died" not in left
    spoke = section(result, "test_speaks")
    assert "killed by SIGABRT" in spoke
    assert "its last words on stderr:\n  terminate called" in spoke
    crashed = section(result, "test_crashes")
    assert "killed by SIGSEGV" in crashed
    assert "Fatal Python error: Segmentation fault" in crashed


def test_a_companion_that_hangs_is_abandoned(run: Run) -> None:
    run.project.ini("[tool.pytest.ini_options]\nrepro_companion_timeout = 120")
    run.project.write(  # the start may take long; only after it the limit is lowered
        conftest="""
        import gc
        from pytest_repro.companions.companion import Companion
        def pytest_runtest_setup(item):
            for companion in gc.get_objects():
                if isinstance(companion, Companion) and item.name == "test_hangs":
                    assert companion._timeout == 120
                    companion._timeout = 2.0
        """
    )
    result = run(
        """
        pytestmark = pytest.mark.reproducible(process=True)
        def test_fine(repro): note("fine"); repro.record(x=1)
        def test_hangs(repro):
            repro.record(x=1)
            if there(repro):
                note("hangs")
                child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
                with open("noted", "a") as file: print(child.pid, "child", file=file)
                time.sleep(1000)
        def test_fine_again(repro): note("fine"); repro.record(x=1)
        """,
        subprocess=True,
    ).check(passed=2, failed=1, says="gave no answer within 2 s while it ran the test")
    assert result.run.ret == 1
    assert len(run.by("child")) == 1


def test_a_file_that_a_companion_cannot_import(run: Run) -> None:
    run.write(
        """
        if os.environ.get("PYTHONHASHSEED") == "1": raise RuntimeError("not with this seed")
        @pytest.mark.reproducible(process=True)
        def test_unimportable(repro): repro.record(x=1)
        def test_plain(repro): repro.record(x=1)
        """,
        "test_broken",
    )
    result = run(
        """
        names = ["a", "b"] if os.environ.get("PYTHONHASHSEED") != "1" else ["a", "c", "d"]
        @pytest.mark.reproducible(process=True)
        @pytest.mark.parametrize("name", names)
        def test_param(repro, name): repro.record(x=1)
        """
    ).check(failed=2, passed=2)
    assert result.verdicts == {
        "test_unimportable": "failed", "test_plain": "reproduced",
        "test_param[a]": "reproduced", "test_param[b]": "failed",
    }  # fmt: skip
    assert "RuntimeError: not with this seed" in section(result, "test_unimportable")
    assert "and not this one" in section(result, "test_param[b]")
    assert "RuntimeError" not in section(result, "test_param[b]")


def test_a_conftest_that_a_companion_cannot_import(run: Run) -> None:
    run.project.write(
        conftest="""
        import os
        if os.environ.get("PYTHONHASHSEED") == "1": raise RuntimeError("not with this seed")
        """
    )
    result = run(
        """
        @pytest.mark.reproducible(process=True)
        @pytest.mark.parametrize("n", range(3))
        def test_a(repro, n): repro.record(x=1)
        def test_plain(repro): repro.record(x=1)
        """
    ).check(failed=3, passed=1)
    for n in range(3):
        assert "not with this seed" in section(result, f"test_a[{n}]")


@contextmanager
def started(run: Run, *args: str) -> Iterator[subprocess.Popen[str]]:
    """pytest in its own process group, at a test that sleeps in the companion and in the main process."""
    run.write(
        """
        @pytest.mark.reproducible(process=True)
        def test_sleeps(repro):
            if there(repro):
                child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
                with open("noted", "a") as file: print(child.pid, "child", file=file)
            note("sleeps", there(repro))
            time.sleep(1000)
        """
    )
    loaded = [word for name in ("repro", "repro_marker", "xdist") for word in ("-p", name)]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *loaded, *args]
    popen = subprocess.Popen(
        command, cwd=run.folder, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        within(240, lambda: bool(run.by("sleeps", "True") and run.by("sleeps", "False")))
        yield popen
    finally:
        with suppress(OSError):
            os.killpg(popen.pid, signal.SIGKILL)
        popen.communicate()


def within(seconds: float, condition: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.05)


@unix
@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_nothing_outlives_its_session(run: Run, how: str) -> None:
    with started(run) as popen:
        popen.send_signal(getattr(signal, how))
        out, _ = popen.communicate(timeout=120)
        within(120, lambda: not any(map(alive, run.pids)))
        if how == "SIGINT":
            assert popen.returncode == 2
            assert "KeyboardInterrupt" in out
            assert "pytest_repro" not in out


def test_outcomes_that_differ_in_a_companion(run: Run) -> None:
    result = run(
        """
        import asyncio, unittest
        pytestmark = pytest.mark.reproducible(process=True)
        def deep(): raise RuntimeError("only there")
        def test_fails_there(repro):
            repro.record(x=1)
            if there(repro): deep()
        def test_fails_here(repro):
            repro.record(x=1)
            if not there(repro): deep()
        def test_skips_there(repro):
            repro.record(x=1)
            if there(repro): pytest.skip("not there")
        def test_fails_in_both(repro): repro.record(x=1); assert 1 == 2
        @pytest.mark.xfail(strict=True)
        def test_expected(repro): repro.record(x=1); assert 1 == 2
        @pytest.mark.xfail
        def test_expected_to_diverge(repro): repro.record(x=there(repro))
        @pytest.mark.skip
        def test_skipped(repro): deep()
        @pytest.fixture
        def broken(repro):
            if there(repro): deep()
        def test_broken_setup(broken, repro): repro.record(x=1)
        class TestClass:
            @pytest.fixture(scope="class")
            @classmethod
            def shared(cls): return np.ones(3)
            def test_one(self, shared, repro):
                assert not hasattr(self, "mark")
                self.mark = 1
                repro.record(x=shared)
            def test_two(self, shared): x = shared * 2
        class TestUnit(unittest.TestCase):
            def setUp(self): self.drawn = np.random.rand(3)
            def test_same(self): x = self.drawn * 2
            def test_order(self): x = np.array([ord(c[0]) for c in {c * 3 for c in "abcdefghij"}])
        class TestAsyncUnit(unittest.IsolatedAsyncioTestCase):
            async def test_same(self):
                await asyncio.sleep(0)
                x = np.random.rand(3)
        """
    )
    assert result.verdicts == {
        "test_fails_there": "diverged", "test_fails_here": "diverged", "test_skips_there": "diverged",
        "test_fails_in_both": "failed", "test_expected": "failed",
        "test_expected_to_diverge": "diverged", "test_skipped": "skipped",
        "test_broken_setup": "diverged", "TestClass::test_one": "reproduced",
        "TestClass::test_two": "reproduced", "TestUnit::test_same": "reproduced",
        "TestUnit::test_order": "diverged", "TestAsyncUnit::test_same": "reproduced",
    }  # fmt: skip
    result.check(passed=4, failed=6, xfailed=2, skipped=1)
    assert 'raise RuntimeError("only there")' in section(result, "test_fails_there")
    assert "not there" in section(result, "test_skips_there")
    assert "E   assert 1 == 2" in section(result, "test_fails_in_both")
    assert "companion" not in section(result, "test_fails_in_both")


@needs("anyio", "pytest_asyncio")
def test_coroutines_hypothesis_and_doctests(run: Run) -> None:
    pytest.importorskip("hypothesis")
    run.project.ini("[tool.pytest.ini_options]\nasyncio_default_fixture_loop_scope = 'function'\n")
    result = run(
        """
        import asyncio
        from hypothesis import given, strategies as st
        @pytest.fixture
        def anyio_backend(): return "asyncio"
        @pytest.mark.anyio
        async def test_anyio(repro):
            await asyncio.sleep(0)
            repro.record(x=np.random.rand(3))
        @pytest.mark.asyncio
        async def test_asyncio(repro):
            await asyncio.sleep(0)
            repro.record(x=np.random.rand(3))
        @given(st.lists(st.booleans()))  # no numbers: Hypothesis takes some from the modules imported so far
        def test_given(repro, x): repro.record(x=x)
        def documented():
            '''
            >>> import numpy as np
            >>> np.ones(2).sum().item()
            2.0
            '''
        """,
        "--repro-all", "--repro-vary=process=1", "--doctest-modules",
        plugins=("anyio", "asyncio", "hypothesispytest"), subprocess=True,
    ).check(passed=4)  # fmt: skip
    assert result.verdicts == {
        "test_anyio": "reproduced", "test_asyncio": "reproduced", "test_given": "reproduced",
        "test_it.documented": "unobserved",
    }  # fmt: skip


def test_large_and_many_values(run: Run) -> None:
    result = run(
        """
        pytestmark = pytest.mark.reproducible(process=True)
        def test_large(repro):
            x = np.zeros(13_000_000, dtype=np.float32)
            if there(repro): x[5] = 0.5
            repro.record(x=x)
            if there(repro):
                import resource
                note("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        def test_same(repro): repro.record(x=np.arange(13_000_000, dtype=np.float32))
        def test_many(repro):
            for n in range(10_000): repro.record("x", float(n))
        def test_many_differ(repro):
            for n in range(10_000): repro.record("x", float(n) + (n == 9_999 and there(repro)))
        """
    ).check(passed=2, failed=2)
    tests = {test["nodeid"].split("::")[1]: test for test in result.report["tests"]}
    (large,) = tests["test_large"]["mismatches"]
    assert (large["differing"], large["total"], large["max_abs"]) == (1, 13_000_000, 0.5)
    assert large["first_index"] == [5]
    (many,) = tests["test_many_differ"]["mismatches"]
    assert (many["name"], many["max_abs"]) == ("x[9999]", 1.0)
    assert [row["observations"] for row in tests["test_many"]["runs"]] == [10_000] * 3


@unix
def test_machines(run: Run) -> None:
    stub = run.folder / "other" / "pytest_repro"
    stub.mkdir(parents=True)
    folder = str(Path(pytest_repro.__file__).parent)
    (stub / "__init__.py").write_text(f"__version__ = '0.0.1'\n__path__.append({folder!r})\n")
    older = run.folder / "older"
    older.write_text(f'#!/bin/sh\nPYTHONPATH="{run.folder}/other" exec "{sys.executable}" "$@"\n')
    older.chmod(0o755)
    result = run(
        """
        @pytest.mark.reproducible
        def test_a(repro):
            note("ran", repro.setting["machine"])
            repro.record(x=1)
        @pytest.mark.reproducible
        def test_b(): x = np.random.rand(3)
        """,
        f"--repro-vary=machine=here,popen//python={sys.executable}",
    ).check(passed=2)
    assert set(result.verdicts.values()) == {"reproduced"}
    assert len(run.pids) == 2
    pythons = {
        "/no/such/python": "could not be started: FileNotFoundError",
        f"{sys.executable} -S -E": "has no module pytest_repro: ",
        str(older): f"it has pytest-repro 0.0.1, this is {pytest_repro.__version__}",
    }
    result = run(
        "".join(
            f"""
        @pytest.mark.reproducible(machine="popen//python={python}")
        def test_{n}(repro): repro.record(x=1)
        @pytest.mark.reproducible(machine="popen//python={python}")
        def test_{n}_again(): x = np.random.rand(3)
        """
            for n, python in enumerate(pythons)
        )
    ).check(failed=6)
    for n, (python, why) in enumerate(pythons.items()):
        for test in (f"test_{n}", f"test_{n}_again"):
            text = section(result, test)
            assert f"the companion for popen//python={python} " in text
            assert why in text


@needs("xdist")
def test_each_worker_has_its_own_companions(run: Run) -> None:
    result = run(
        """
        pytestmark = pytest.mark.reproducible(process=True)
        @pytest.mark.parametrize("n", range(12))
        def test_same(repro, n, tmp_path):
            note("ran", there(repro), tmp_path)
            time.sleep(0.02)
            repro.record(x=np.random.rand(3))
        def test_order(): x = np.array([ord(c[0]) for c in {c * 3 for c in "abcdefghij"}])
        def test_dies(repro):
            repro.record(x=1)
            if there(repro): os._exit(3)
        def test_fails_there(repro):
            repro.record(x=1)
            assert not there(repro)
        """,
        "-n2", "--junitxml=j.xml",
        plugins=("xdist",),
    ).check(passed=12, failed=3, says="died while it ran the test (exit status 3)")  # fmt: skip
    words = {"test_order": "diverged", "test_dies": "failed", "test_fails_there": "diverged"}
    assert result.verdicts == {f"test_same[{n}]": "reproduced" for n in range(12)} | words
    assert all(len(test["runs"]) >= 3 for test in result.report["tests"])
    assert len(set(run.by("ran", "False"))) == 2
    assert len(set(run.by("ran", "True"))) in (2, 3)
    here, there = ({words[3] for words in run.noted if words[2] == where} for where in ("False", "True"))
    assert len(there) == 12
    assert not here & there
    (suite,) = ElementTree.parse(run.folder / "j.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("15", "3")


@needs("xdist")
@unix
def test_nothing_outlives_the_workers(run: Run) -> None:
    with started(run, "-n1") as popen:
        os.killpg(popen.pid, signal.SIGINT)  # as a terminal does
        popen.communicate(timeout=120)
        within(120, lambda: not any(map(alive, run.pids)))


MODEL = """
def step(there):
    if there:
        return 1
    return 1
def never():
    return 2
"""


@needs("pytest_cov")
@pytest.mark.parametrize("more", [(), pytest.param(("-n1",), marks=needs("xdist"))], ids=["one", "xdist"])
def test_coverage_includes_companions(run: Run, more: tuple[str, ...]) -> None:
    run.project.write(model=MODEL)
    source = """
        import model
        @pytest.mark.reproducible(process=True)
        @pytest.mark.parametrize("n", range(2))
        def test_a(repro, n): repro.record(x=model.step(there(repro)))
        """
    result = run(
        source, "--cov=model", "--cov-report=term-missing", *more,
        plugins=("pytest_cov", *(("xdist",) if more else ())), subprocess=True,
    ).check(passed=2)  # fmt: skip
    (line,) = [line for line in result.run.outlines if line.startswith("model.py")]
    assert line.split() == ["model.py", "6", "1", "83%", "6"]
    assert [path.name for path in run.folder.glob(".coverage*")] == [".coverage"]


@needs("pytest_randomly", "pytest_rerunfailures", "pytest_timeout")
@pytest.mark.parametrize("more", [(), pytest.param(("-n1",), marks=needs("xdist"))], ids=["one", "xdist"])
def test_peers_of_execution(run: Run, more: tuple[str, ...]) -> None:
    result = run(
        """
        pytestmark = pytest.mark.reproducible(process=True)
        @pytest.mark.parametrize("n", range(4))
        def test_same(repro, n): repro.record(x=np.random.rand(3), seed=repro.seed)
        def test_differs(repro):
            note("differs", there(repro))
            repro.record(x=there(repro))
        def test_fails(repro):
            note("fails", there(repro))
            repro.record(x=1)
            assert 0
        def test_sleeps_there(repro):
            repro.record(x=1)
            if there(repro): time.sleep(30)
        """,
        "--randomly-seed=3", "--reruns=1", "--timeout=3", *more,
        plugins=("randomly", "rerunfailures", "timeout", *(("xdist",) if more else ())),
        subprocess=True,
    )  # fmt: skip
    result.check(passed=4, failed=3)
    assert result.verdicts == {
        **{f"test_same[{n}]": "reproduced" for n in range(4)},
        "test_differs": "diverged", "test_fails": "failed", "test_sleeps_there": "diverged",
    }  # fmt: skip
    assert len(run.by("differs", "False")) == 2


@needs("pytest_reportlog", "pytest_jsonreport", "pytest_html")
def test_reports_are_written_once(run: Run) -> None:
    args = ["--junitxml=j.xml", "--report-log=log.jsonl", "--html=page.html", "--json-report"]
    plugins = ("pytest_reportlog", "pytest_jsonreport", "html", "html_fixtures", "metadata")
    run(
        """
        pytestmark = pytest.mark.reproducible(process=True)
        def test_same(repro):
            print("printed once")
            repro.record(x=1)
        def test_differs(repro): repro.record(x=there(repro))
        def test_dies(repro):
            repro.record(x=1)
            if there(repro): os._exit(3)
        """,
        *args,
        plugins=plugins,
    ).check(passed=1, failed=2)
    (suite,) = ElementTree.parse(run.folder / "j.xml").getroot()
    names = [case.get("name") for case in suite.iter("testcase")]
    assert names == ["test_same", "test_differs", "test_dies"]
    log = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    calls = [each["nodeid"] for each in log if each.get("when") == "call"]
    assert [name.split("::")[1] for name in calls] == names
    assert sum(each["$report_type"] == "SessionStart" for each in log) == 1
    assert log[-1]["$report_type"] == "SessionFinish"
    tests = json.loads((run.folder / ".report.json").read_text())["tests"]
    assert [test["nodeid"].split("::")[1] for test in tests] == names
    assert tests[0]["call"]["stdout"] == "printed once\n"
    assert "died while it ran the test" in (run.folder / "page.html").read_text()


def test_companions_know_the_last_failed_tests(run: Run) -> None:
    run.write(
        """
        pytestmark = pytest.mark.reproducible(process=True)
        def test_a(repro): repro.record(x=1)
        def test_b(repro): note("b", there(repro)); repro.record(x=there(repro))
        def test_c(repro): repro.record(x=1)
        """
    )
    args = ["-p", "cacheprovider", "--lf", "--repro-diagnose=never"]
    for passed in (2, 0):
        run.project.again(*args).check(passed=passed, failed=1)
    assert len(run.by("b", "True")) == 4
    cached = json.loads((run.folder / ".pytest_cache/v/cache/lastfailed").read_text())
    assert cached == {"test_it.py::test_b": True}
