"""What other interpreters cost: to start one, a run in one, a whole suite with one.

python benchmarks/bench_companions.py [start] [runs] [suite] [--tests=200] [--rounds=5]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from _sessions import OURS, Taken, in_turn
from _side_by_side import apart, medians, shown

from pytest_repro.axes import Interpreter
from pytest_repro.companions.companion import Companion

_TEST = """import pytest, time
{imports}
pytestmark = pytest.mark.reproducible{arguments}
@pytest.mark.parametrize("number", range({tests}))
def test_body(repro, number):
    end = time.perf_counter() + {seconds}
    while time.perf_counter() < end: pass
    repro.record(x=number)
"""
_IMPORTS = {"numpy": "import numpy", "torch": "import torch"}


def _write(
    folder: Path, name: str, tests: int, imports: str, seconds: float = 0.0, arguments: str = ""
) -> str:
    path = folder / f"{name}.py"
    path.write_text(_TEST.format(tests=tests, imports=imports, seconds=seconds, arguments=arguments))
    return str(path)


def _companion(folder: Path, path: str) -> Companion:
    told = {
        "workerid": "bench",
        "workercount": 1,
        "testrunuid": "bench",
        "repro_seed": 0,
        "mainargv": ["pytest"],
    }
    options = ["-q", "-p", "no:cacheprovider", *OURS, path]
    order = {"serve": "pytest_repro.plugin.remote.companion_session", "chdir": str(folder), "args": options}
    companion = Companion(
        Interpreter(name="bench"), {**order, "workerinput": told, "basetemp": ""}, sys.path, 60
    )
    companion.receive("while it collected the tests")
    return companion


def _come_and_go(folder: Path, path: str) -> None:
    _ended(_companion(folder, path))


def _ended(companion: Companion) -> None:
    companion.request_exit()
    companion.join_or_kill()


def _pytest(path: str) -> Callable[[], object]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *OURS, "--repro-runs=1"]
    return lambda: subprocess.run([*command, path], check=True, capture_output=True)


def start(folder: Path, tests: int, rounds: int) -> None:
    """A companion that is ready to run, beside a pytest process that runs one test."""
    for name, imports in _IMPORTS.items():
        path = _write(folder, f"test_{name}", 1, imports)
        ways = {"companion": partial(_come_and_go, folder, path), "pytest": _pytest(path)}
        found = medians(ways, rounds, 0.0)
        told = f"{shown(found['companion'])}, python -m pytest {shown(found['pytest'])}"
        print(f"start, {name}: a companion {told}, ratio {found['companion'] / found['pytest']:.2f}")


def runs(folder: Path, tests: int, rounds: int) -> None:
    """One run in a companion that is there, beside a pytest process, and beside a fork."""
    for name, imports in _IMPORTS.items():
        path = _write(folder, f"test_{name}", 1, imports)
        companion = _companion(folder, path)
        asked = (f"{Path(path).name}::test_body[0]", 0, 2, "process", 1, {"process": 1}, None)

        def ask(companion: Companion = companion, asked: tuple[object, ...] = asked) -> None:
            companion.send("run", *asked)
            companion.receive("while it ran the test")

        found = medians({"companion": ask, "pytest": _pytest(path)}, rounds, 0.0)
        _ended(companion)
        ratio = found["companion"] / found["pytest"]
        print(f"a run, {name}: in a companion {shown(found['companion'])}, ", end="")
        print(f"python -m pytest one_test {shown(found['pytest'])}, ratio {ratio:.4f}")
        print(f"  a fork of a process that has imported it, and its end: {apart(_FORKS.format(imports))}")


_FORKS = """{}, os, statistics, time, pytest
def fork():
    begin = time.perf_counter()
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return time.perf_counter() - begin
print(f"{{statistics.median(fork() for _ in range(21)) * 1e3:.2f}} ms")
"""


def suite(folder: Path, tests: int, rounds: int) -> None:
    """Many tests with ``process=True``, beside the same tests run twice in one process."""
    for seconds in (0.0, 0.005, 0.02):
        twice = _write(folder, f"test_twice_{seconds * 1000:.0f}", tests, "", seconds)
        beside = _write(folder, f"test_beside_{seconds * 1000:.0f}", tests, "", seconds, "(process=True)")
        one = _write(folder, f"test_one_{seconds * 1000:.0f}", 1, "", seconds, "(process=True)")
        ways = {"twice": (*OURS, twice), "beside": (*OURS, beside), "one": (*OURS, one)}
        taken = in_turn(folder, ways, rounds)
        median = {name: statistics.median(map(_loop, each)) for name, each in taken.items()}
        ratio = (median["beside"] - median["one"]) / median["twice"]
        print(f"{tests} tests of {seconds * 1000:.0f} ms: twice here {shown(median['twice'])}, ", end="")
        print(f"with process=True {shown(median['beside'])}, one start {shown(median['one'])}: ", end="")
        print(f"without it {ratio:.2f} times as long")


def _loop(taken: Taken) -> float:
    return taken.loop


PARTS = {"start": start, "runs": runs, "suite": suite}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("parts", nargs="*", help=f"any of {', '.join(PARTS)}; all of them by default")
    parser.add_argument("--tests", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # other plugins ask workers for more than is told here
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name in given.parts or PARTS:
            PARTS[name](Path(folder), given.tests, given.rounds)


if __name__ == "__main__":
    main()
