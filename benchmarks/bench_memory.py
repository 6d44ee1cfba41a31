"""Memory of recording 1 GB twice, the second time with half of it changed, beside not recording.

Prints the peak resident memory of fresh processes, and how much recording adds, for two budgets
(``repro_keep_mb``). The aim: no more than the budget and 16 MB.
"""

from __future__ import annotations

import subprocess
import sys

_SIZE = 2**28  # float32 elements: 1 GiB

_BODY = f"""
import resource, sys, numpy, torch, xxhash
import pytest_repro.values.difference
from pytest_repro.core.plan.plan import Plan
from pytest_repro.engine.runs.trial import Trial, as_run

keep = int(sys.argv[1])
values = torch.empty({_SIZE}).fill_(1.0)
if keep >= 0:
    trial = Trial(Plan(), keep)
    for run in range(2):
        recording = trial.recording()
        recording.record("x", values)
        trial.add(as_run(run, "passed", 0.0, recording, None), recording)
        values[::2] += 1
    (found,) = trial.verdict().mismatches
    assert found.difference.differing == {_SIZE // 2}, found
    trial.close()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def peak(keep_mb: int) -> int:
    """Peak resident memory in MiB of a process that records 1 GiB twice; -1 records nothing."""
    command = [sys.executable, "-c", _BODY, str(keep_mb)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    plain = peak(-1)
    print(f"1 GiB held, nothing recorded           {plain:6d} MiB")
    for keep in (64, 512):
        found = peak(keep)
        print(f"recorded twice, repro_keep_mb = {keep:<4d}   {found:6d} MiB, {found - plain:+d} MiB")


if __name__ == "__main__":
    main()
