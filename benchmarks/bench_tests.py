"""What the plugin costs, side by side with pytest alone, pytest-repeat and pytest-rerunfailures.

python benchmarks/bench_tests.py [start] [unmarked] [three_runs] [bodies] [--tests=2000] [--rounds=7]
                                 [--quick]

Sessions take turns, A B A B; every number is the median over the rounds. "again" repeats the first
line and shows the noise.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

from _sessions import (
    REPRO,
    Read,
    SessionTimes,
    load_plugins,
    median_difference,
    median_ratio,
    only_installed,
    run_in_turn,
)

_MARKED = "import pytest\npytestmark = pytest.mark.reproducible\n"
_BODY = """import pytest, time
SPENT = 0.0
@pytest.mark.parametrize("number", range({tests}))
def test_body(number{fixture}):
    global SPENT
    start = time.perf_counter()
    {wait}
    SPENT += time.perf_counter() - start
    {record}
"""
_WAITS = {
    "busy": "while time.perf_counter() - start < {seconds}: pass",
    "sleep": "time.sleep({seconds})",
}


def _write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def _write_trivial_tests(folder: Path, tests: int) -> tuple[str, str]:
    """Files of tests that do nothing: unmarked, and marked with one record each."""
    plain = "".join(f"def test_{i}(): pass\n" for i in range(tests))
    marked = "".join(f"def test_{i}(repro): repro.record('x', 1.0)\n" for i in range(tests))
    return _write(folder / "test_plain.py", plain), _write(folder / "test_marked.py", _MARKED + marked)


def _cpu(times: SessionTimes) -> float:
    return times.cpu


def measure_start(folder: Path, tests: int, rounds: int) -> None:
    """Processor time that a plugin adds to a session that collects an empty folder."""
    empty = folder / "empty"
    empty.mkdir(exist_ok=True)
    plugins = {
        "none": load_plugins(),
        "none again": load_plugins(),
        "pytest-repro": REPRO,
        **only_installed(
            repeat=load_plugins("pytest_repeat"),
            rerunfailures=load_plugins("pytest_rerunfailures"),
            randomly=load_plugins("pytest_randomly"),
        ),
    }
    times = run_in_turn(
        empty,
        {name: ("--co", *words) for name, words in plugins.items()},
        rounds if rounds == 1 else 3 * rounds,
    )
    added = {name: median_difference(values, times["none"], _cpu) for name, values in times.items()}
    print("start: ms added to a session without tests; share of pytest-rerunfailures (target 0.3)")
    for name, seconds in added.items():
        share = seconds / added.get("pytest-rerunfailures", float("nan"))
        print(f"  {name:22}{seconds * 1e3:+9.2f}{share:9.2f}")


def measure_unmarked(folder: Path, tests: int, rounds: int) -> None:
    """A session without a marked test."""
    plain, _ = _write_trivial_tests(folder, tests)
    sessions = {
        "none": (*load_plugins(), plain),
        "none again": (*load_plugins(), plain),
        "pytest-repro": (*REPRO, plain),
        **only_installed(
            repeat=(*load_plugins("pytest_repeat"), plain),
            rerunfailures=(*load_plugins("pytest_rerunfailures"), plain),
            randomly=(*load_plugins("pytest_randomly"), plain),
        ),
    }
    times = run_in_turn(folder, sessions, rounds)
    print(f"{tests} unmarked tests: added µs per test; in pytest_collection_finish alone (target 3)")
    for name, values in times.items():
        reads: tuple[Read, ...] = (_cpu, lambda t: t.finish)
        added = (median_difference(values, times["none"], read) for read in reads)
        print(f"  {name:22}" + "".join(f"{seconds / tests * 1e6:+9.2f}" for seconds in added))


def measure_three_runs(folder: Path, tests: int, rounds: int) -> None:
    """Trivial tests run three times: all that is measured is the cost of running again."""
    plain, marked = _write_trivial_tests(folder, tests)
    three = (*REPRO, "--repro-runs=3")
    sessions = {
        "once, no plugin": (*load_plugins(), plain),
        "once again": (*load_plugins(), plain),
        "audited": (*three, "--repro-all", plain),
        "marked, one record": (*three, marked),
        **only_installed(
            repeat=(*load_plugins("pytest_repeat"), "--count=3", plain),
            flakefinder=(*load_plugins("pytest_flakefinder"), "--flake-finder", "--flake-runs=3", plain),
        ),
    }
    times = run_in_turn(folder, sessions, rounds)
    repeat = times.get("pytest-repeat")
    print(
        f"{tests} trivial tests, three runs: CPU time / one run without the plugin; its loop over the tests"
    )
    print("alone; CPU time / pytest-repeat's three runs (targets: audited 1.0, marked 1.1)")
    for name, values in times.items():
        ratios = [
            median_ratio(values, times["once, no plugin"], read) for read in (_cpu, lambda t: t.loop_cpu)
        ]
        ratios.append(median_ratio(values, repeat, _cpu) if repeat else float("nan"))
        print(f"  {name:22}" + "".join(f"{value:8.2f}" for value in ratios))


def measure_bodies(folder: Path, tests: int, rounds: int) -> None:
    """Three runs of a body that takes a while: what is outside the body is pytest's or the plugin's."""
    print(
        "a body of 10 ms and of 200 ms, three runs: loop / time in the bodies; µs per run outside the bodies;"
    )
    print("the same of one run without the plugin; ratio of the two times outside (target 1.15)")
    for seconds, count in ((0.01, min(60, tests)), (0.2, min(5, tests // 2))):
        for kind in _WAITS:
            _measure_body(folder, kind, seconds, count, rounds)


def _measure_body(folder: Path, kind: str, seconds: float, tests: int, rounds: int) -> None:
    body = partial(_BODY.format, tests=tests, wait=_WAITS[kind].format(seconds=seconds))
    once = _write(folder / "test_once.py", body(fixture="", record=""))
    again = _write(folder / "test_again.py", body(fixture=", repro", record="repro.record('n', number)"))
    sessions = {"once": (*load_plugins(), once), "three": (*REPRO, "--repro-runs=3", again)}
    times = run_in_turn(folder, sessions, rounds)
    line, outside = f"  {seconds * 1e3:5.0f} ms {kind:6}", []
    for name, runs in (("three", 3), ("once", 1)):
        share = sorted(t.loop / t.body for t in times[name])[rounds // 2]
        outside.append(sorted(t.loop - t.body for t in times[name])[rounds // 2] / (tests * runs))
        line += f"{share:9.4f}{outside[-1] * 1e6:9.1f}"
    print(f"{line}{outside[0] / outside[1]:9.2f}")


PARTS = {
    "start": measure_start,
    "unmarked": measure_unmarked,
    "three_runs": measure_three_runs,
    "bodies": measure_bodies,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="cost of the plugin beside other plugins")
    parser.add_argument("parts", nargs="*", help=f"any of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--tests", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="two tests, one round")
    options = parser.parse_args()
    tests, rounds = (2, 1) if options.quick else (options.tests, options.rounds)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text("[pytest]\n")
        for part in options.parts or PARTS:
            PARTS[part](folder, tests, rounds)


if __name__ == "__main__":
    main()
