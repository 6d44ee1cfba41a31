"""Times things in turn, A B A B: what disturbs one of them disturbs the other."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Call = Callable[[], Any]


def once(call: Call, number: int = 1) -> float:
    """Seconds of one call, the mean of *number* in a row."""
    start = time.perf_counter()
    for _ in range(number):
        call()
    return (time.perf_counter() - start) / number


def medians(calls: Mapping[str, Call], repeats: int = 7, least: float = 0.01) -> dict[str, float]:
    """Median seconds of each call, taken in turn.

    Args:
        calls: What is timed, by name. Each is called once before, unmeasured.
        repeats: How many turns.
        least: Seconds that one measurement takes at least; short calls are repeated within it.
    """
    numbers = {name: max(1, int(least / max(once(call), 1e-9))) for name, call in calls.items()}
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            taken[name].append(once(call, numbers[name]))
    return {name: statistics.median(each) for name, each in taken.items()}


def ratio(a: Call, b: Call, repeats: int = 7, least: float = 0.01) -> float:
    """Median seconds of *a* divided by median seconds of *b*, measured A B A B."""
    found = medians({"a": a, "b": b}, repeats, least)
    return found["a"] / found["b"]


def shown(seconds: float) -> str:
    """``12.3 ms``: three digits and a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def extra_memory(call: Call) -> int:
    """Bytes by which the process grew at most while *call* ran (Linux: the kernel's own peak)."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from what is in use now
    before = _peak()
    call()
    return _peak() - before


def _peak() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def apart(code: str) -> str:
    """What *code* prints in a fresh interpreter: peaks of memory are those of *code* alone."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()
