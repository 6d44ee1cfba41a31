"""When a cause is looked for, what an inquiry meets in tests of every kind, and that it leaves nothing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from pytest_repro.engine.fork import AVAILABLE
from tests.conftest import Project, Result
from tests.plugin.peers import needs

NOISE = "import random\ndef noise():\n    return random.Random().random()\n"
torch = pytest.mark.skipif(find_spec("torch") is None, reason="needs torch")


@pytest.fixture
def noisy(project: Project) -> Project:
    """A project with a module that draws from the operating system in line 3."""
    project.pytester.path.joinpath("noise.py").write_text(NOISE)
    return project


def causes(result: Result) -> dict[str, str]:
    """What the report says was the cause, by test name; ``""`` where it says nothing."""
    return {
        test["nodeid"].split("::", 1)[1]: " ".join(
            test["cause"].get(key, "-") for key in ("name", "location")
        )
        if "cause" in test
        else ""
        for test in result.report["tests"]
    }


def test_when_it_is_looked_for(noisy: Project) -> None:
    source = """
    from noise import noise
    import time
    def test_quick(repro):
        repro.record(x=noise())
    def test_slow(repro, monkeypatch):
        monkeypatch.setattr("pytest_repro.plugin.inquiries._LONG", 0.0)
        repro.record(x=noise())
    """
    result = noisy(source, "--repro-diagnose=never").check(failed=2, lacks="cause  ")
    assert causes(result) == {"test_quick": "", "test_slow": ""}
    long = "import pytest_repro.plugin.inquiries as inquiries\ninquiries._LONG = -1.0\n"
    noisy.write(conftest=long)
    result = noisy.again(subprocess=True).check(failed=2, lacks="cause  ")
    result = noisy.again("--repro-diagnose=always", "-k", "quick", subprocess=True)
    assert causes(result) == {"test_quick": "os-entropy noise.py:3"}


def test_a_budget_that_is_spent_is_said(noisy: Project) -> None:
    noisy.ini("[tool.pytest.ini_options]\nrepro_diagnose_seconds = 0.01\n")
    result = noisy("from noise import noise\ndef test_a(repro): repro.record(x=noise())")
    result.check(failed=1)
    (test,) = result.report["tests"]
    assert test["cause"]["name"] == "unknown"
    assert test["cause"]["explanation"].startswith("it could not be established: ")
    assert "fix" in test["cause"]


KINDS = """
import asyncio, unittest, pytest
from noise import noise

def test_fails_alike(repro):
    repro.record(x=1)
    assert repro.run > 5

def test_outcome():
    assert noise() < 0

@pytest.mark.reproducible
def test_fails_sometimes():
    assert int(noise() * 10**9) % 2 == 7 or RUNS.append(1) or len(RUNS) < 2
RUNS = []

@pytest.mark.xfail(reason="known")
def test_expected(repro):
    repro.record(x=noise())

@pytest.mark.parametrize("n", [1, 2])
def test_numbered(repro, n):
    repro.record(x=noise() if n > 1 else 0)

class TestClass:
    @pytest.fixture
    def seeded_by(self):
        return noise()
    def test_method(self, repro, seeded_by):
        repro.record(x=seeded_by)

@pytest.mark.reproducible(capture="locals")
class TestOld(unittest.TestCase):
    def test_case(self):
        import numpy as np
        found = np.array([noise()])

def test_threads_stay(repro):
    import threading, time
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    repro.record(x=noise())
"""


def test_tests_of_every_kind(noisy: Project) -> None:
    result = noisy(KINDS, subprocess=True)
    found = causes(result)
    assert found == {
        "test_fails_alike": "",
        "test_fails_sometimes": "shared-state test_it.py:14",
        "test_expected": "os-entropy noise.py:3",
        "test_numbered[1]": "",
        "test_numbered[2]": "os-entropy noise.py:3",
        "TestClass::test_method": "os-entropy noise.py:3",
        "TestOld::test_case": "os-entropy noise.py:3",
        "test_threads_stay": "os-entropy noise.py:3",
    }
    assert result.run.parseoutcomes() == {"failed": 7, "passed": 1, "xfailed": 1}
    (outcome,) = (each for each in result.report["tests"] if "sometimes" in each["nodeid"])
    assert "noise.py" not in outcome["cause"]["explanation"]  # it differs as well, and is not it
    for name in ("test_method", "test_case", "test_threads_stay"):
        assert len(re.findall(rf"{name} is not reproducible", result.text)) == 1
    assert result.text.count("  cause  ") == 5


@needs("pytest_asyncio")
def test_async_tests(noisy: Project) -> None:
    noisy.ini("[tool.pytest.ini_options]\nasyncio_mode = 'auto'\n")
    result = noisy(
        """
        import asyncio
        from noise import noise
        async def test_a(repro):
            await asyncio.sleep(0)
            repro.record(x=noise())
        """,
        plugins=["asyncio"], subprocess=True,
    )  # fmt: skip
    assert causes(result) == {"test_a": "os-entropy noise.py:3"}


@needs("xdist")
def test_workers_of_xdist(noisy: Project) -> None:
    result = noisy(
        """
        import pytest
        from noise import noise
        @pytest.mark.parametrize("n", range(2))
        def test_a(repro, n): repro.record(x=noise())
        """,
        "-n2", plugins=["xdist"], subprocess=True,
    )  # fmt: skip
    assert set(causes(result).values()) == {"os-entropy noise.py:3"}
    assert result.text.count("  cause  ") == 2


@needs("pytest_timeout")
def test_the_time_of_an_inquiry_is_not_the_tests(noisy: Project) -> None:
    result = noisy(
        """
        import time
        from noise import noise
        def test_a(repro):
            time.sleep(0.15)
            repro.record(x=noise())
        """,
        "--timeout=0.6", plugins=["timeout"], subprocess=True,
    ).check(failed=1, lacks="Timeout")  # fmt: skip
    assert causes(result) == {"test_a": "os-entropy noise.py:3"}


@pytest.mark.skipif(not AVAILABLE, reason="there is no fork here")
def test_a_test_that_kills_its_process_is_told(noisy: Project) -> None:
    result = noisy(
        """
        import os, signal
        from noise import noise
        MINE = os.environ.setdefault("FIRST", str(os.getpid())) == str(os.getpid())
        def test_kills(repro):
            repro.record(x=noise())
            if not MINE:
                os.kill(os.getpid(), signal.SIGKILL)
        def test_after(repro):
            repro.record(x=noise())
        """,
        subprocess=True,
    ).check(failed=2)
    first, second = result.report["tests"]
    assert first["cause"]["name"] == "unknown"
    assert "died (SIGKILL)" in first["cause"]["explanation"]
    assert second["cause"]["name"] == "os-entropy"


def test_a_module_that_cannot_be_imported_again_is_told(noisy: Project) -> None:
    noisy.write(
        test_once="""
        import os
        from noise import noise
        assert os.environ.setdefault("FIRST", str(os.getpid())) == str(os.getpid()), "only once"
        def test_a(repro): repro.record(x=noise())
        """
    )
    result = noisy("from noise import noise\ndef test_b(repro): repro.record(x=noise())", subprocess=True)
    result.check(failed=2)
    found = {test["nodeid"]: test["cause"] for test in result.report["tests"]}
    assert found["test_it.py::test_b"]["name"] == "os-entropy"
    assert found["test_once.py::test_a"]["name"] == "unknown"
    assert "only once" in found["test_once.py::test_a"]["explanation"]


def alive(mark: str) -> list[int]:
    """Processes whose environment holds *mark*."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"MARK={mark}".encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_inquiry_leaves_no_process(noisy: Project, how: signal.Signals) -> None:
    mark = f"{os.getpid()}-{time.monotonic_ns()}"
    noisy.pytester.makepyfile(
        test_it="""
        import os, time
        from noise import noise
        MINE = os.environ.setdefault("FIRST", str(os.getpid())) == str(os.getpid())
        def test_a(repro):
            repro.record(x=noise())
            if not MINE:
                open("begun", "w").close()
                time.sleep(40)
        """
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "repro", "-p", "repro_marker"]
    process = subprocess.Popen(
        command, env={**os.environ, "MARK": mark}, cwd=noisy.pytester.path,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    begun = noisy.pytester.path / "begun"
    wait(begun.exists, 30)
    process.send_signal(how)
    said, _ = process.communicate(timeout=20)
    assert process.returncode != 0
    if how is signal.SIGINT:
        assert "KeyboardInterrupt" in said, said
    assert wait(lambda: not alive(mark), 10), alive(mark)


def wait(done: Any, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        time.sleep(0.05)
    return bool(done())


def test_nothing_is_left_behind_and_nothing_printed_twice(noisy: Project) -> None:
    noisy.write(
        conftest="""
        import os, sys, gc
        def pytest_sessionstart(session):
            session.before = dict(os.environ), os.getcwd(), sys.gettrace(), gc.isenabled()
        def pytest_sessionfinish(session):
            os.environ.pop("PYTEST_CURRENT_TEST", None)
            session.before[0].pop("PYTEST_CURRENT_TEST", None)
            assert session.before == (dict(os.environ), os.getcwd(), sys.gettrace(), gc.isenabled())
        """
    )
    result = noisy(
        """
        import os, sys, warnings
        from noise import noise
        def test_a(repro, tmp_path):
            print("said by the test")
            print("complained", file=sys.stderr)
            os.write(1, b"written\\n")
            warnings.warn("beware")
            (tmp_path / "file").write_text("")
            repro.record(x=noise())
        """,
        "-W", "default", subprocess=True,
    ).check(failed=1, lacks="INTERNALERROR")  # fmt: skip
    for text in ("said by the test", "complained", "written", "  cause  "):
        assert len(re.findall(rf"^{text}", result.text, re.M)) == 1, result.text
    assert result.text.count("UserWarning: beware") == 1
    left = {path.name for path in noisy.pytester.path.iterdir() if not path.name.startswith("runpytest")}
    mine = {"conftest.py", "noise.py", "test_it.py", "report.json"}
    assert left - {"__pycache__", "stdout", "stderr"} == mine


GOLDEN = {
    "test_training": """
        test_it.py::test_training is not reproducible (bit for bit, 2 runs, seed 0)

          loss[2]   float32[]   run N differs from run N
            max abs N, max rel N, max ulp N
            N in run N, N in run N
            first differing step of loss: N (N to N), N later step differs too

          parted at  op 35 from numpy   test_it.py:14: it came from outside torch, and differs
          cause      os-entropy at test_it.py:14
                     numpy.random.default_rng() draws its seed from the operating system (and 1 other call like
                     it)
          fix        pass a seed, or take repro.rng()
          replay     pytest test_it.py::test_training --repro-seed=0 --repro-runs=2
        """,
    "test_fixture": """
        test_it.py::test_fixture is not reproducible (bit for bit, 2 runs, seed 0)

          loss   float32[]   run N differs from run N
            max abs N, max rel N, max ulp N
            N in run N, N in run N

          parted at  op 1 aten.addmm.default   test_it.py:29: an input differs that no op of this run made
          cause      shared-state at test_it.py:23
                     a run leaves something behind for the next: fixture model.weight has other values; each
                     begun in a fresh process, runs were equal; the runs first parted at test_it.py:27, in model
          fix        give fixture model scope='function', or copy what the test changes
          replay     pytest test_it.py::test_fixture --repro-seed=0 --repro-runs=2
        """,
    "test_gathered": """
        test_it.py::test_gathered is not reproducible (bit for bit, 2 runs, seed 0)

          gradient   float32[1000, 64]   run N differs from run N
            N of N elements (N %), max abs N, max rel N, max ulp N
            first at [N, N]: N in run N, N in run N

          parted at  op 9 aten.index_put.default   test_it.py:39, in its backward, called at test_it.py:41: equal
                     inputs, other output
          cause      nondeterministic-op at test_it.py:39
                     aten.index_put.default, in the backward of test_it.py:39, gave another output for equal
                     inputs: its threads add in the order in which they come. N of N runs differed from the
                     first; with deterministic algorithms all were equal
          fix        torch.use_deterministic_algorithms(True), which the marker sets unless told
                     deterministic=False; or gather with F.embedding or torch.index_select, whose backward adds
                     in order
          replay     pytest test_it.py::test_gathered --repro-seed=0 --repro-runs=2
        """,
    "test_vocabulary": """
        test_it.py::test_vocabulary is not reproducible (bit for bit, 2 runs, seed 0, varied: process)

          process    run to run deterministic; differs between this process and another (PYTHONHASHSEED=N): order

          order   str   differs in process N
            'sat beside on one dog cat mat the a' in run N, 'on dog beside sat one a cat the mat' in process N

          parted at  op 0 record order   test_it.py:6: no op before it differs
          cause      hash-seed at test_it.py:6
                     an order or a number comes from the hash of text, which each interpreter salts differently;
                     two interpreters with the same PYTHONHASHSEED gave the same, one with another did not
          fix        sort the set before it is walked through, or take a dict or list; for a number that lasts,
                     take zlib.crc32(text.encode())
          replay     pytest test_it.py::test_vocabulary --repro-seed=0 --repro-runs=2 --repro-vary=process=1
        """,
}


PROGRAMS = """
    import numpy as np
    import pytest
    import torch

    torch.set_num_threads(2)

    @pytest.mark.reproducible
    def test_training(repro):
        model = torch.nn.Linear(8, 1)
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(4):
            batch = torch.randn(16, 8)
            if step == 2:
                batch += torch.from_numpy(np.random.default_rng().normal(size=(16, 8)))
            loss = model(batch).pow(2).mean()
            loss.backward()
            optimiser.step()
            repro.record(loss=loss)




    @pytest.fixture(scope="module")
    def model():
        return torch.nn.Linear(4, 1)

    @pytest.mark.reproducible
    def test_fixture(repro, model):
        loss = model(torch.randn(8, 4)).sum()
        with torch.no_grad():
            model.weight.sub_(0.1)
        repro.record(loss=loss)

    @pytest.mark.reproducible(deterministic=False)
    def test_gathered(repro):
        table = torch.randn(1000, 64, requires_grad=True)
        index = torch.randint(0, 1000, (200_000,))
        noise = torch.randn(200_000, 64)
        loss = (table[index] * noise).sum()

        loss.backward()
        repro.record(gradient=table.grad)
"""


def masked(text: str) -> str:
    """*text* without the numbers that come from outside."""
    values, found, rest = text.partition("\n\n  parted at")
    head, _, values = values.partition("\n")
    name, _, values = values.partition("run ")
    values = re.sub(r"(?<!\w)-?\d(?:[\d,.]*\d)?(?:e[+-]?\d+)?", "N", f"run {values}")
    return f"{head}\n{name}{values}{found}" + re.sub(r"\d+ of \d+ runs", "N of N runs", rest)


def texts(result: Result) -> dict[str, str]:
    """The whole text of each failure, by test name, without the numbers that come from outside."""
    parts = re.split(r"\n_+ test_\w+ _+\n|\n=+ reproducibility =+\n", result.text)[1:-1]
    return {part.split()[0].partition("::")[2]: masked(part) for part in parts}


def golden(name: str) -> str:
    return dedent(GOLDEN[name]).strip("\n")


@torch
def test_the_whole_text_of_what_torch_computed(project: Project) -> None:
    found = texts(project(PROGRAMS, subprocess=True))
    assert found["test_training"] == golden("test_training")
    assert found["test_fixture"] == golden("test_fixture")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores < 2:
        pytest.skip("threads do not race on one core")
    assert found["test_gathered"] == golden("test_gathered")


def test_the_whole_text_of_what_an_interpreter_salts(project: Project) -> None:
    source = """
    import pytest

    @pytest.mark.reproducible(process=True)
    def test_vocabulary(repro):
        words = set("the cat sat on a mat beside one dog".split())
        repro.record(order=" ".join(words))
    """
    result = project(source, subprocess=True)
    assert texts(result)["test_vocabulary"] == golden("test_vocabulary")
