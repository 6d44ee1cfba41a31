"""What a test costs: unmarked, run three times, and beside a body that takes a while.

python benchmarks/bench_tests.py [unmarked] [thrice] [bodies] [--tests=5000] [--rounds=7]
"""

from __future__ import annotations

import argparse
import tempfile
from importlib.util import find_spec
from pathlib import Path

from _sessions import Taken, difference, in_turn, least, named, ratio

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
_BUSY = "while time.perf_counter() - start < {seconds}: pass"
_SLEEP = "time.sleep({seconds})"


def _write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def _trivial(folder: Path, tests: int) -> tuple[str, str]:
    """A file of tests that do nothing, and the same marked, with one record each."""
    plain = "".join(f"def test_{i}(): pass\n" for i in range(tests))
    marked = "".join(f"def test_{i}(repro): repro.record('x', 1.0)\n" for i in range(tests))
    return _write(folder / "test_plain.py", plain), _write(folder / "test_marked.py", _MARKED + marked)


def _installed(**ways: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    return {f"pytest-{name}": each for name, each in ways.items() if find_spec(f"pytest_{name}")}


def _cpu(taken: Taken) -> float:
    return taken.cpu


def _finish(taken: Taken) -> float:
    return taken.finish


def unmarked(folder: Path, tests: int, rounds: int) -> None:
    """A session without a marked test pays for one look at each of them."""
    plain, _ = _trivial(folder, tests)
    ways = {
        "none": (*named(), plain),
        "none again": (*named(), plain),
        "pytest-repro": (*named("repro", "repro_marker"), plain),
        **_installed(
            repeat=(*named("pytest_repeat"), plain),
            rerunfailures=(*named("pytest_rerunfailures"), plain),
            randomly=(*named("pytest_randomly"), plain),
        ),
    }
    taken = in_turn(folder, ways, rounds)
    base = taken["none"]
    print(f"{tests} unmarked tests, added µs per test: least - least, median of the differences,")
    print("and in the hook pytest_collection_finish alone")
    for name, each in taken.items():
        low = least(each, _cpu) - least(base, _cpu)
        hook = least(each, _finish) - least(base, _finish)
        found = (low, difference(each, base, _cpu), hook)
        print(f"  {name:22}" + "".join(f"{seconds / tests * 1e6:+9.2f}" for seconds in found))


def thrice(folder: Path, tests: int, rounds: int) -> None:
    """Tests that do nothing, three times over: all that is seen is the cost of running again."""
    plain, marked = _trivial(folder, tests)
    ours = (*named("repro", "repro_marker"), "--repro-runs=3")
    ways = {
        "once, no plugin": (*named(), plain),
        "once again": (*named(), plain),
        "--repro-all": (*ours, "--repro-all", plain),
        "marked, one record": (*ours, marked),
        **_installed(repeat=(*named("pytest_repeat"), "--count=3", plain)),
    }
    if find_spec("pytest_flakefinder"):
        flake = ("--flake-finder", "--flake-runs=3", plain)
        ways["pytest-flakefinder"] = (*named("pytest_flakefinder"), *flake)
    taken = in_turn(folder, ways, rounds)
    base = taken["once, no plugin"]
    print(f"{tests} trivial tests three times / once: least / least, median of the ratios,")
    print("and the same for the loop over the tests alone")
    for name, each in taken.items():
        found = []
        for read in (_cpu, lambda t: t.loop_cpu):
            found += [least(each, read) / least(base, read), ratio(each, base, read)]
        print(f"  {name:22}" + "".join(f"{value:7.2f}" for value in found))


def bodies(folder: Path, rounds: int) -> None:
    """Three runs against three times the body: what is neither body nor report is the plugin's."""
    print("three runs of a body: loop / time in the bodies, µs per run outside the bodies;")
    print("beside it the same of a single run without the plugin")
    for seconds, tests in ((0.01, 60), (0.2, 5)):
        for kind, wait in (("busy", _BUSY), ("sleep", _SLEEP)):
            _body(folder, kind, wait.format(seconds=seconds), seconds, tests, rounds)


def _body(folder: Path, kind: str, wait: str, seconds: float, tests: int, rounds: int) -> None:
    once = _BODY.format(tests=tests, fixture="", wait=wait, record="")
    record = "repro.record('number', number)"
    again = _BODY.format(tests=tests, fixture=", repro", wait=wait, record=record)
    ways = {
        "once": (*named(), _write(folder / "test_once.py", once)),
        "thrice": (
            *named("repro", "repro_marker"), "--repro-runs=3",
            _write(folder / "test_again.py", again),
        ),
    }  # fmt: skip
    taken = in_turn(folder, ways, rounds)
    line = f"  {seconds * 1e3:5.0f} ms {kind:6}"
    for name, runs in (("thrice", 3), ("once", 1)):
        least_share = least(taken[name], lambda t: t.loop / t.told)
        fixed = least(taken[name], lambda t: t.loop - t.told) / (tests * runs)
        line += f"{least_share:9.4f}{fixed * 1e6:9.1f}"
    print(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["unmarked", "thrice", "bodies"])
    parser.add_argument("--tests", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text("[pytest]\n")
        if "unmarked" in asked.parts:
            unmarked(folder, asked.tests, asked.rounds)
        if "thrice" in asked.parts:
            thrice(folder, asked.tests, asked.rounds)
        if "bodies" in asked.parts:
            bodies(folder, asked.rounds)


if __name__ == "__main__":
    main()
