"""What each active adapter adds to a run of a test that does not use its library.

python benchmarks/bench_adapters.py [LIBRARY ...] [--quick]

A marked test of two runs saves and restores the generators of a library once, enters its switches once, seeds
it before the set-up and the body of each run, and reads its generators around both phases of the first run.
Prints the microseconds of all that per run, and those of each part; the libraries take turns.
"""

from __future__ import annotations

import argparse
import importlib
import os
import time
from collections.abc import Callable
from contextlib import suppress

from _timing import QUICK, measure_seconds

from pytest_repro.adapters import Adapter, active_adapters
from pytest_repro.core.plugins import find_plugins
from pytest_repro.engine.runs.pin import pinned

RUNS, SEEDS, READS = 2, 4, 4
_LIGHT = ("numpy", "scipy", "pandas", "sklearn")
"""What ``--quick`` imports, if no library is named."""
_TARGET = 20


def import_libraries(names: list[str]) -> None:
    """Imports *names*, by default all that have an adapter; those that are not installed are left out."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    default = (
        _LIGHT if QUICK else [name for name in find_plugins("pytest_repro.adapters") if name != "python"]
    )
    for name in names or default:
        with suppress(ImportError):
            importlib.import_module(name)


def list_parts(adapter: Adapter) -> dict[str, Callable[[], object]]:
    """The calls of *adapter* in a test, by name."""

    def save() -> None:
        adapter.save_global_states()()

    def switch() -> None:
        with adapter.deterministic(True):
            pass

    def seed() -> None:
        for _ in range(SEEDS):
            adapter.seed(0)

    def read() -> None:
        for _ in range(READS):
            adapter.global_states_key()

    return {"save": save, "switch": switch, "seed": seed, "read": read}


def measure(rounds: int, number: int) -> dict[str, dict[str, float]]:
    """Microseconds per run of each part, by library: the least of all rounds, as a busy machine only adds."""
    parts = {name: list_parts(adapter) for name, adapter in active_adapters().items()}
    times: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds):
        for library, calls in parts.items():
            for part, call in calls.items():
                times.setdefault((library, part), []).append(measure_seconds(call, number))
    return {
        library: {part: min(times[library, part]) * 1e6 / RUNS for part in calls}
        for library, calls in parts.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("libraries", nargs="*", help="import names (default: all that are installed)")
    parser.add_argument("--quick", action="store_true", help="few libraries and rounds")
    import_libraries(parser.parse_args().libraries)
    start = time.perf_counter()
    with pinned(0):
        rows = measure(*((1, 3) if QUICK else (60, 20)))
    print(f"µs per run of a test (target: {_TARGET}), {time.perf_counter() - start:.0f} s of measuring")
    print(f"{'library':18}{'sum':>7}" + "".join(f"{part:>8}" for part in next(iter(rows.values()))))
    for library, row in sorted(rows.items(), key=lambda item: -sum(item[1].values())):
        mark = "  above" if sum(row.values()) > _TARGET else ""
        print(
            f"{library:18}{sum(row.values()):7.1f}" + "".join(f"{each:8.1f}" for each in row.values()) + mark
        )


if __name__ == "__main__":
    main()
