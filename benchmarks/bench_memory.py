"""Peak memory of a test that records 1 GiB twice, half of it different in the second run.

Prints the peak resident memory of whole pytest processes, and what recording adds, for two values of
``repro_keep_mb``. Target: at most that budget and 16 MB more.

python benchmarks/bench_memory.py [--quick]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from _sessions import REPRO
from _timing import QUICK

_MIB = 2 if QUICK else 1024
_TEST = f"""
import torch
import xxhash
import pytest
import pytest_repro.values.difference

values = torch.zeros({_MIB} * 2**18)

@pytest.mark.reproducible(runs=2)
def test_recorded(repro):
    values[::2] += 1
    repro.record(x=values)

def test_not_recorded():
    for _ in range(2):
        values[::2] += 1
"""


def peak_memory(folder: Path, test: str, keep_mb: int) -> int:
    """Peak resident memory in MiB of a pytest process.

    Raises:
        RuntimeError: *test* did not end as it must: ``test_recorded`` diverges.
    """
    options = [
        "-q",
        "-p",
        "no:cacheprovider",
        *REPRO,
        "--repro-diagnose=never",
        f"-o=repro_keep_mb={keep_mb}",
    ]
    command = [sys.executable, "-m", "pytest", *options, f"test_memory.py::{test}"]
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    process = subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != (test == "test_recorded"):
        raise RuntimeError(f"{test} ended with exit status {process.returncode}")
    return usage.ru_maxrss // 1024


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pytest.ini").write_text("[pytest]\n")
        (folder / "test_memory.py").write_text(_TEST)
        plain = peak_memory(folder, "test_not_recorded", 64)
        print(f"{_MIB} MiB, nothing recorded               {plain:6d} MiB")
        for keep_mb in (64,) if QUICK else (64, 512):
            peak = peak_memory(folder, "test_recorded", keep_mb)
            print(f"recorded twice, repro_keep_mb = {keep_mb:<4d} {peak:9d} MiB, {peak - plain:+d} MiB")


if __name__ == "__main__":
    main()
