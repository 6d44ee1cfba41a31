"""What digesting a frame costs, beside pandas.util.hash_pandas_object and polars.

python benchmarks/bench_tables.py [--quick]

The calls of a line take turns, A B A B; ratios are of medians, by wall time and by CPU time of all threads.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from _timing import QUICK, Call, format_seconds

from pytest_repro import digest
from pytest_repro.core.plan.plan import exact_tolerance
from pytest_repro.engine.runs.recording import Recording
from pytest_repro.values.spill_store import SpillStore

ROWS = 1000 if QUICK else 10_000_000
_CLOCKS: tuple[Callable[[], float], ...] = (time.perf_counter, time.process_time)


def make_frames(count: int) -> dict[str, Any]:
    """Frames of *count* rows, by name."""
    rng = np.random.default_rng(0)
    floats = pd.DataFrame({name: rng.random(count) for name in "abcd"})
    mixed = pd.DataFrame(
        {
            "float64": rng.random(count),
            "int64": rng.integers(0, 2**40, count),
            "float32": rng.random(count, dtype="f4"),
            "Int64": pd.array(rng.integers(0, 9, count), dtype="Int64"),
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 2**30, count), unit="s"),
        }
    )
    rows = pd.DataFrame(rng.random((count, 4)))
    texts = pd.Series(rng.integers(0, 10**9, count).astype(str))
    few = pd.Series(np.array(["red", "green", "blue"])[rng.integers(0, 3, count)])
    return {
        "4 float64 columns": floats,
        "numbers of 5 dtypes": mixed,
        "a C-ordered matrix": rows,
        "text (str)": texts.to_frame(),
        "text (object)": texts[: count // 5].astype(object).to_frame(),  # pandas takes a minute for all
        "3 texts (str)": few.to_frame(),
        "category": few.astype("category").to_frame(),
    }


def measure_medians(calls: dict[str, Call], repeats: int) -> dict[str, tuple[float, float]]:
    """Median wall and CPU seconds of each call; the calls take turns, after one unmeasured call each."""
    times: dict[str, list[tuple[float, ...]]] = {name: [] for name in calls}
    for number in range(repeats + 1):
        for name, call in calls.items():
            before = [clock() for clock in _CLOCKS]
            call()
            if number:
                times[name].append(tuple(clock() - start for clock, start in zip(_CLOCKS, before)))
    return {
        name: (statistics.median(wall for wall, _ in each), statistics.median(cpu for _, cpu in each))
        for name, each in times.items()
    }


def compare(name: str, calls: dict[str, Call], repeats: int) -> None:
    """One line: how many times faster the second call is than each other one."""
    medians = measure_medians(calls, repeats)
    (_, ours), *others = medians.items()
    ratios = (
        f"{other} {format_seconds(wall)}: {wall / ours[0]:.1f} × wall time, {cpu / ours[1]:.1f} × CPU time"
        for other, (wall, cpu) in others
    )
    print(f"{name:20} digest() {format_seconds(ours[0]):>8}   {'   '.join(ratios)}")


def measure_polars(frame: Any, repeats: int) -> None:
    """Frames of polars beside the hash of their rows, which differs between versions of polars."""
    try:
        import polars as pl
    except ImportError:
        return
    numbers = pl.DataFrame({name: frame[name].to_numpy() for name in frame})
    texts = numbers.select(pl.col("int64").cast(pl.String))
    compare("polars, 2 numbers", {"": lambda: digest(numbers), "hash_rows": numbers.hash_rows}, repeats)
    compare("polars, text", {"": lambda: digest(texts), "hash_rows": texts.hash_rows}, repeats)


def measure_recording(frame: Any, repeats: int) -> None:
    """Recording a frame in the reference run, which stores it, and in the next run, which only hashes it."""

    def record(reference: Recording | None = None) -> Recording:
        recording = Recording(store, exact_tolerance, reference)
        recording.record("frame", frame)
        return recording

    with SpillStore(2**30) as store:
        reference = record()
        compare("record, 4 float64", {"": lambda: record(reference), "frame.copy()": frame.copy}, repeats)


def main() -> None:
    repeats = 1 if QUICK else 5
    print(f"{ROWS:,} rows ({ROWS // 5:,} of text as objects), pandas {pd.__version__}")
    frames = make_frames(ROWS)
    for name, frame in frames.items():
        calls: dict[str, Call] = {"": lambda frame=frame: digest(frame)}  # type: ignore[misc]
        calls["hash_pandas_object"] = lambda frame=frame: pd.util.hash_pandas_object(frame)  # type: ignore[misc]
        compare(name, calls, repeats if "text" not in name else max(1, repeats - 2))
    measure_polars(frames["numbers of 5 dtypes"][["float64", "int64"]], repeats)
    measure_recording(frames["4 float64 columns"], repeats)


if __name__ == "__main__":
    main()
