"""Times calls in turn, A B A B: what slows one of them down slows the others too."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Call = Callable[[], Any]
QUICK = "--quick" in sys.argv
"""Tiny sizes and few rounds: the numbers mean nothing, but every line of the script runs."""


def measure_seconds(call: Call, number: int = 1) -> float:
    """Seconds per call, the mean of *number* calls in a row."""
    start = time.perf_counter()
    for _ in range(number):
        call()
    return (time.perf_counter() - start) / number


def median_seconds(
    calls: Mapping[str, Call], repeats: int = 7, min_seconds: float = 0.01
) -> dict[str, float]:
    """Median seconds of each call; the calls take turns, after one unmeasured call each.

    Args:
        repeats: Number of measurements of each call.
        min_seconds: Calls shorter than this are repeated within one measurement.
    """
    if QUICK:
        repeats, min_seconds = 1, 0.0
    numbers = {
        name: max(1, int(min_seconds / max(measure_seconds(call), 1e-9))) for name, call in calls.items()
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            times[name].append(measure_seconds(call, numbers[name]))
    return {name: statistics.median(values) for name, values in times.items()}


def median_ratio(a: Call, b: Call, repeats: int = 7, min_seconds: float = 0.01) -> float:
    """Median seconds of *a* divided by median seconds of *b*."""
    seconds = median_seconds({"a": a, "b": b}, repeats, min_seconds)
    return seconds["a"] / seconds["b"]


def format_seconds(seconds: float) -> str:
    """``12.3 ms``: three digits and a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def measure_extra_memory(call: Call) -> int:
    """Bytes by which the resident memory grew at most while *call* ran (Linux: the kernel's own peak)."""
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak to what is in use now
    before = _read_peak_memory()
    call()
    return _read_peak_memory() - before


def _read_peak_memory() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def run_python(code: str) -> str:
    """What *code* prints in a fresh interpreter, whose memory peak is that of *code* alone."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
