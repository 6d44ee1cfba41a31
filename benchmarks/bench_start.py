"""What the plugin adds to the start of pytest: an empty folder is collected with and without it.

python benchmarks/bench_start.py [ROUNDS]
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from _sessions import difference, in_turn, least, named

BESIDE = {
    "pytest-repeat": "pytest_repeat",
    "pytest-rerunfailures": "pytest_rerunfailures",
    "pytest-randomly": "pytest_randomly",
    "syrupy": "syrupy",
    "hypothesis": "_hypothesis_pytestplugin",
}
"""Other plugins and their modules, which are named where they are installed."""


def ways() -> dict[str, tuple[str, ...]]:
    found = {"none": named(), "none again": named(), "pytest-repro": named("repro", "repro_marker")}
    found |= {name: named(module) for name, module in BESIDE.items() if find_spec(module)}
    return {name: ("--co", *options) for name, options in found.items()}


def forked(folder: Path, rounds: int) -> None:
    """Where Python and pytest are imported already: the plugin alone, hardly any noise."""
    taken = in_turn(folder, ways(), rounds)
    base = taken["none"]
    print("pytest.main, added processor time in ms: least - least, median of the differences")
    for name, each in taken.items():
        low = least(each, lambda t: t.cpu) - least(base, lambda t: t.cpu)
        print(f"  {name:22}{low * 1e3:+8.2f}{difference(each, base, lambda t: t.cpu) * 1e3:+8.2f}")


def _cpu(options: tuple[str, ...], folder: Path) -> float:
    environment = dict(os.environ, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", PYTHONDONTWRITEBYTECODE="")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime


def whole(folder: Path, rounds: int) -> None:
    """Whole processes: what a user waits for, and the noise of 200 ms of other imports."""
    taken: dict[str, list[float]] = {name: [] for name in ways()}
    for turn in range(rounds + 1):
        for name, options in ways().items():
            seconds = _cpu(options, folder)
            if turn:
                taken[name].append(seconds)
    base = taken["none"]
    print("python -m pytest, user time in ms: least, least - least, median of the differences")
    for name, each in taken.items():
        low, middle = min(each) - min(base), statistics.median(a - b for a, b in zip(each, base))
        print(f"  {name:22}{min(each) * 1e3:8.1f}{low * 1e3:+8.2f}{middle * 1e3:+8.2f}")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    with tempfile.TemporaryDirectory() as folder:
        forked(Path(folder), rounds)
        whole(Path(folder), max(3, rounds // 4))


if __name__ == "__main__":
    main()
