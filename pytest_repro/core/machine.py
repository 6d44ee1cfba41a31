"""The machine that this process runs on."""

from __future__ import annotations

import os


def count_cores() -> int:
    """The number of cores that this process may use."""
    get_affinity = getattr(os, "sched_getaffinity", None)
    return len(get_affinity(0)) if get_affinity else os.cpu_count() or 1
