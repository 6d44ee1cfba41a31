"""What other interpreters cost: the start of one, a run in one.

python benchmarks/bench_companions.py [--tests=200] [--rounds=5] [--quick]

Tests with ``process=True`` beside the same tests run twice in one process: one test shows the start,
the others show the runs. Beside it, ``python -m pytest one_test``, and a fork of a process that has
imported the library.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from _sessions import REPRO, run_in_turn
from _timing import format_seconds, median_seconds, run_python

_TEST = """import pytest, time
{imports}
pytestmark = pytest.mark.reproducible{arguments}
@pytest.mark.parametrize("number", range({tests}))
def test_body(repro, number):
    end = time.perf_counter() + {seconds}
    while time.perf_counter() < end: pass
    repro.record(x=number)
"""
_FORKS = """{}, os, statistics, time, pytest
def fork():
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return time.perf_counter() - start
print(f"{{statistics.median(fork() for _ in range(21)) * 1e3:.2f}} ms")
"""


def _write(folder: Path, name: str, **values: object) -> str:
    path = folder / f"{name}.py"
    path.write_text(_TEST.format(**values))
    return str(path)


def measure(folder: Path, imports: str, seconds: float, tests: int, rounds: int) -> tuple[float, float, str]:
    """Prints one line; returns the seconds of a start and of a run, and the path of one test.

    Args:
        seconds: Duration of the body of each test.
        tests: Number of tests, at least 2.
    """
    kinds = {"twice": "", "process": "(process=True)"}
    paths = {
        (kind, count): _write(
            folder, f"test_{kind}_{count}", imports=imports, arguments=arguments, tests=count, seconds=seconds
        )
        for kind, arguments in kinds.items()
        for count in (1, tests)
    }
    sessions = {f"{kind}{count}": (*REPRO, path) for (kind, count), path in paths.items()}
    times = run_in_turn(folder, sessions, rounds)
    loop = {name: statistics.median(session.loop for session in each) for name, each in times.items()}
    start = loop["process1"] - loop["twice1"]
    extra = loop[f"process{tests}"] - loop["process1"] - (loop[f"twice{tests}"] - loop["twice1"])
    ratio = (loop[f"process{tests}"] - start) / loop[f"twice{tests}"]
    library = imports.removeprefix("import ")
    print(f"{library}, {tests} tests of {seconds * 1000:.0f} ms: start {format_seconds(start)}, ", end="")
    print(
        f"a run {extra / (tests - 1) * 1e3:.2f} ms; without the start {ratio:.2f} of two runs in one process"
    )
    return start, extra / (tests - 1), paths["twice", 1]


def measure_beside(imports: str, path: str, start: float, run: float, rounds: int) -> None:
    """A pytest process that runs one test, and a fork."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *REPRO, "--repro-runs=1", path]

    def run_pytest() -> None:
        subprocess.run(command, check=True, capture_output=True)

    seconds = median_seconds({"pytest": run_pytest}, rounds, 0.0)["pytest"]
    fork = run_python(_FORKS.format(imports))
    print(
        f"  python -m pytest one_test {format_seconds(seconds)}: start {start / seconds:.2f} of it, ", end=""
    )
    print(f"a run {run / seconds:.4f} of it (target 0.1); a fork and its end {fork}")


def main() -> None:
    parser = argparse.ArgumentParser(description="cost of other interpreters")
    parser.add_argument("--tests", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="two tests with numpy, one round")
    options = parser.parse_args()
    tests, rounds = (2, 1) if options.quick else (options.tests, options.rounds)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text("[pytest]\n")
        os.chdir(folder)
        for imports in ("import numpy",) if options.quick else ("import numpy", "import torch"):
            start, run, path = measure(folder, imports, 0.0, tests, rounds)
            measure_beside(imports, path, start, run, rounds)
        for seconds in () if options.quick else (0.005, 0.02):
            measure(folder, "import numpy", seconds, tests, rounds)


if __name__ == "__main__":
    main()
