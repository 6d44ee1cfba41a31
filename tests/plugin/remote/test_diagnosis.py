"""When a cause is looked for, tests of every kind, and that a diagnosis leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_repro.engine.experiments.fork import FORK_AVAILABLE
from tests.conftest import Project, Result
from tests.plugin.peers import needs

NOISE = """import random
def noise():
    return random.Random().random()
STEPS = iter(range(1000))
def drift():
    return next(STEPS)
"""


@pytest.fixture
def noisy(project: Project) -> Project:
    """A project with a module whose line 3 draws from the operating system.

    The runs of this process find that; what ``drift()`` leaves behind takes another process.
    """
    project.inquires = True
    project.pytester.path.joinpath("noise.py").write_text(NOISE)
    return project


def causes(result: Result) -> dict[str, str]:
    """The name and location of the reported cause, by test name; ``""`` if there is none."""
    return {
        test["nodeid"].split("::", 1)[1]: " ".join(
            test["cause"].get(key, "-") for key in ("name", "location")
        )
        if "cause" in test
        else ""
        for test in result.report["tests"]
    }


def test_when_a_cause_is_looked_for(noisy: Project) -> None:
    source = """
    from noise import noise
    import time
    def test_quick(repro):
        repro.record(x=noise())
    def test_slow(repro, monkeypatch):
        monkeypatch.setattr("pytest_repro.plugin.judge.judge._LONG_RUN", 0.0)
        repro.record(x=noise())
    """
    result = noisy(source, "--repro-diagnose=never").check(failed=2, lacks="cause  ")
    assert causes(result) == {"test_quick": "", "test_slow": ""}
    conftest = "import pytest_repro.plugin.judge.judge as judge\njudge._LONG_RUN = -1.0\n"
    noisy.write(conftest=conftest)
    result = noisy.again(subprocess=True).check(failed=2, lacks="cause  ")
    result = noisy.again("--repro-diagnose=always", "-k", "quick", subprocess=True)
    assert causes(result) == {"test_quick": "os-entropy noise.py:3"}


def test_time_limit_is_reported(noisy: Project) -> None:
    noisy.ini("[tool.pytest.ini_options]\nrepro_diagnose_seconds = 0.01\n")
    result = noisy("from noise import noise\ndef test_a(repro): repro.record(x=noise())")
    result.check(failed=1)
    (test,) = result.report["tests"]
    assert test["cause"]["name"] == "unknown"
    assert test["cause"]["explanation"].startswith("the cause could not be established: ")
    assert "fix" in test["cause"]


def test_time_limit_includes_the_start_of_an_interpreter(noisy: Project) -> None:
    """Importing the tests may take any time."""
    noisy.ini("[tool.pytest.ini_options]\nrepro_diagnose_seconds = 5\n")
    result = noisy(
        """
        import os, time
        from noise import drift
        if os.environ.setdefault("FIRST", str(os.getpid())) != str(os.getpid()):
            time.sleep(600)
        def test_a(repro): repro.record(x=drift())
        """,
        subprocess=True,
    ).check(failed=1)
    (test,) = result.report["tests"]
    assert test["cause"]["name"] == "unknown"
    assert test["cause"]["explanation"].startswith(
        "the cause could not be established: the time limit of 5 s was reached (repro_diagnose_seconds): "
        "the companion"
    )
    assert test["cause"]["explanation"].endswith("while it collected the tests")


def test_patches_of_the_test_do_not_affect_the_diagnosis(noisy: Project) -> None:
    """The diagnosis starts before the fixtures of the test are torn down."""
    result = noisy(
        """
        import builtins, os, subprocess, time
        from unittest import mock
        from noise import noise
        def test_a(repro, monkeypatch):
            monkeypatch.setattr(subprocess, "Popen", mock.MagicMock())
            monkeypatch.setattr(builtins, "open", mock.mock_open())
            monkeypatch.setattr(time, "monotonic", lambda: 0.0)
            monkeypatch.setattr(os, "environ", {})
            repro.record(x=noise())
        """,
        subprocess=True,
    ).check(failed=1)
    assert causes(result) == {"test_a": "os-entropy noise.py:3"}


def test_module_that_computes_on_import(noisy: Project) -> None:
    """The first parallel op in a fork hangs if torch's threads were started before."""
    pytest.importorskip("torch")
    result = noisy(
        """
        import torch
        from noise import noise
        TABLE = torch.ones(2_000_000).exp().sum()
        def test_a(repro):
            repro.record(y=torch.ones(2_000_000).exp().sum() / TABLE, x=noise())
        """,
        subprocess=True,
    ).check(failed=1)
    assert causes(result) == {"test_a": "os-entropy noise.py:3"}


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
    reported = causes(result)
    assert reported == {
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
def test_diagnosis_does_not_count_as_time_of_the_test(noisy: Project) -> None:
    result = noisy(
        """
        import time
        from noise import noise
        def test_a(repro):
            time.sleep(0.6)
            repro.record(x=noise())
        """,
        "--timeout=3", "--junit-xml=junit.xml", plugins=["timeout"], subprocess=True,
    ).check(failed=1, lacks="Timeout")  # fmt: skip
    assert causes(result) == {"test_a": "os-entropy noise.py:3"}
    (test,) = result.report["tests"]
    assert test["diagnosis_seconds"] > 3
    result.check(says=f"\ndiagnosis 1 test in {test['diagnosis_seconds']:.1f} s\n")
    junit = (noisy.pytester.path / "junit.xml").read_text()
    assert float(re.findall(r'<testcase .*time="([\d.]+)"', junit)[0]) < test["diagnosis_seconds"]


@pytest.mark.skipif(not FORK_AVAILABLE, reason="needs os.fork")
def test_test_that_kills_its_process(noisy: Project) -> None:
    result = noisy(
        """
        import os, signal
        from noise import drift, noise
        MINE = os.environ.setdefault("FIRST", str(os.getpid())) == str(os.getpid())
        def test_kills(repro):
            repro.record(x=drift())
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


def test_module_that_cannot_be_imported_again(noisy: Project) -> None:
    noisy.write(
        test_once="""
        import os
        from noise import drift
        assert os.environ.setdefault("FIRST", str(os.getpid())) == str(os.getpid()), "only once"
        def test_a(repro): repro.record(x=drift())
        """
    )
    result = noisy("from noise import noise\ndef test_b(repro): repro.record(x=noise())", subprocess=True)
    result.check(failed=2)
    reported = {test["nodeid"]: test["cause"] for test in result.report["tests"]}
    assert reported["test_it.py::test_b"]["name"] == "os-entropy"
    assert reported["test_once.py::test_a"]["name"] == "unknown"
    assert "only once" in reported["test_once.py::test_a"]["explanation"]


def list_processes(mark: str) -> list[int]:
    """Processes with *mark* in their environment."""
    pids = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"MARK={mark}".encode() in (folder / "environ").read_bytes():
                pids.append(int(folder.name))
        except OSError:
            continue
    return pids


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_diagnosis_leaves_no_process(noisy: Project, signal_number: signal.Signals) -> None:
    mark = f"{os.getpid()}-{time.monotonic_ns()}"
    noisy.pytester.makepyfile(
        test_it="""
        import os, time
        from noise import drift
        MINE = os.environ.setdefault("FIRST", str(os.getpid())) == str(os.getpid())
        def test_a(repro):
            repro.record(x=drift())
            if not MINE:
                open("started", "w").close()
                time.sleep(40)
        """
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "repro", "-p", "repro_marker"]
    process = subprocess.Popen(
        command, env={**os.environ, "MARK": mark}, cwd=noisy.pytester.path,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    started = noisy.pytester.path / "started"
    wait(started.exists, 240)
    process.send_signal(signal_number)
    output, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    if signal_number is signal.SIGINT:
        assert "KeyboardInterrupt" in output, output
    assert wait(lambda: not list_processes(mark), 120), list_processes(mark)


def wait(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


@pytest.mark.parametrize("when", ["auto", "always"])
def test_all_causes_of_a_session_have_a_limit(noisy: Project, when: str) -> None:
    """Once it is spent, the failure and the summary say so; only ``auto`` has one."""
    source = """
    from noise import noise
    import pytest
    @pytest.fixture(scope="module", autouse=True)
    def no_time():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("pytest_repro.plugin.judge.judge._SESSION_FACTOR", 0.0)
            patch.setattr("pytest_repro.plugin.judge.judge.monotonic", lambda: 0.0)
            yield
    def test_a(repro): repro.record(x=noise())
    def test_b(repro): repro.record(x=noise())
    def test_c(repro): repro.record(x=noise())
    """
    result = noisy(source, f"--repro-diagnose={when}", "-p", "no:randomly").check(failed=3)
    found = causes(result)
    assert found.pop("test_a") == "os-entropy noise.py:3"
    if when == "always":
        assert set(found.values()) == {"os-entropy noise.py:3"}
        return
    assert set(found.values()) == {""}
    assert re.search(
        r"^diagnosis 1 test in .* s; 2 more not diagnosed, --repro-diagnose=always does$", result.text, re.M
    )
    assert (
        len(
            re.findall(
                "^  no cause   the causes of other tests took .* s: --repro-diagnose=always looks",
                result.text,
                re.M,
            )
        )
        == 2
    )
    assert "looks for all" in result.report["tests"][2]["undiagnosed"]


def test_diagnosis_leaves_nothing_behind_and_prints_nothing_twice(noisy: Project) -> None:
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
    files = {path.name for path in noisy.pytester.path.iterdir() if not path.name.startswith("runpytest")}
    expected = {"conftest.py", "noise.py", "test_it.py", "report.json"}
    assert files - {"__pycache__", "stdout", "stderr"} == expected


def test_wide_fixtures_are_torn_down_in_forks(noisy: Project) -> None:
    """A server that kept running would block its port for the next experiment."""
    noisy(
        """
        import pytest
        from noise import drift
        from pathlib import Path
        def log(text):
            Path(".log").mkdir(exist_ok=True)  # experiments put back other files that the test writes
            with Path(".log/log").open("a") as file:
                file.write(text + "\\n")
        @pytest.fixture(scope="module")
        def server():
            log("started")
            yield
            log("ended")
        def test_a(repro, server): repro.record(x=drift())
        """,
        subprocess=True,
    ).check(failed=1, says="shared-state at noise.py:4")
    lines = (noisy.pytester.path / ".log" / "log").read_text().split()
    assert lines[1:-1] == ["started", "ended"] * (len(lines) // 2 - 1)
    assert len(lines) > 4


@pytest.mark.skipif(not FORK_AVAILABLE, reason="needs os.fork")
@pytest.mark.parametrize("count", [12, 60, 250])
def test_order_of_a_set_of_functions(noisy: Project, count: int) -> None:
    """Their addresses are set when the module is imported, and may agree by chance.

    Where a set is too large to be read whole, the line that iterates over it is the first that differs.
    """
    noisy.write(zoo="\n".join(f"def f{number}(): ..." for number in range(count)))
    result = noisy(
        """
        import pytest, zoo
        @pytest.mark.reproducible(process=True)
        def test_a(repro):
            every = {found for name, found in vars(zoo).items() if name.startswith("f")}
            names = [found.__name__ for found in every]
            repro.record(names=names)
        """,
        "-p", "no:randomly", subprocess=True,
    )  # fmt: skip
    for _ in range(3):  # on a busy machine forks may differ by more than their layout: unknown, never wrong
        if result.report["tests"][0]["verdict"] == "reproduced":  # two processes may agree
            return
        if not causes(result)["test_a"].startswith("unknown"):
            break
        result = noisy.again("-p", "no:randomly", subprocess=True)
    lines = [5, 6] if count > 100 else [5]
    expected = [f"address-order test_it.py:{line}" for line in lines]
    assert causes(result)["test_a"] in expected, result.report["tests"]


@pytest.mark.skipif(not FORK_AVAILABLE, reason="needs os.fork")
def test_addresses_and_numbers_of_objects_are_not_shared_state(noisy: Project) -> None:
    pytest.importorskip("torch")
    result = noisy(
        """
        import gc, torch
        def test_address(repro):
            found = [torch.ones(100) for _ in range(5)]
            repro.record(place=[each.data_ptr() for each in found])
        def test_objects(repro):
            repro.record(objects=len(gc.get_objects()))
        """,
        subprocess=True,
    )
    reported = causes(result)
    if reported["test_address"]:  # malloc may return the same addresses again
        assert reported["test_address"] == "address-order test_it.py:4"
    assert reported["test_objects"].split()[:1] in ([], ["unknown"])
