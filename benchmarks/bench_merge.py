"""Peak memory and processor time of ``pytest-repro merge`` for 10, 50 and 100 reports of 10,000 tests.

Writes the merged JSON report, JUnit XML, CTRF and the page. Every hundredth test ran in two shards; every
thousandth diverged. Targets: 500 MB, and the same time per byte for all sizes.

python benchmarks/bench_merge.py [--quick] [--json-only]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from _timing import QUICK

from pytest_repro.core.compare.mismatch import Difference, Mismatch
from pytest_repro.core.compare.stored_value import Statistics, StoredValue
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.run import Run
from pytest_repro.reports.json.report import ReportHead, build_report, write_report
from pytest_repro.reports.json.rows import verdict_to_row

_TESTS = 100 if QUICK else 10_000
_SHARDS = (2, 3) if QUICK else (10, 50, 100)
_RUNS = (Run("repeat", 0, "passed", 0.25, 4), Run("repeat", 1, "passed", 0.24, 4))
_DIVERGED = Mismatch(
    "loss[1]", "loss", 1, "", "repeat", 1, "values", "float64[]", "float64[]", Difference(1, 1, 1, 0.1)
)


def make_row(shard: int, number: int) -> dict[str, Any]:
    owner = 0 if number % 100 == 99 and shard < 2 else shard
    nodeid = f"tests/package/test_module_{number % 50}.py::TestCase::test_{owner}_{number}[float32-cpu]"
    values = [StoredValue(f"loss[{n}]", "float64[]", f"{n + number:032x}", (n / 3,)) for n in range(3)]
    statistics = Statistics(0.1, 0.9, 0.5, 0.01, 12.5)
    values.append(StoredValue("model.weight", "float32[512, 512]", f"{number:032x}", statistics=statistics))
    bad = number % 1000 == 7
    verdict = Verdict("diverged" if bad else "reproduced", Plan(), _RUNS, (_DIVERGED,) if bad else ())
    return verdict_to_row(nodeid, verdict, values)


def write_shards(folder: Path, count: int) -> int:
    """Writes the reports, and returns their size in bytes."""
    for shard in range(count):
        head = ReportHead("9001", f"{shard + 1}/{count}", "a" * 40, "2026-01-31T08:00:00Z", 600.0)
        rows = (make_row(shard, number) for number in range(_TESTS))
        write_report(folder / f"shard-{shard}.json", build_report(rows, 0, {"python": "3.11"}, head))
    return sum(path.stat().st_size for path in folder.glob("shard-*.json"))


def merge(folder: Path, outputs: list[str]) -> tuple[float, int]:
    """Seconds of the processor, and peak resident memory in bytes.

    Raises:
        RuntimeError: The merge did not end as it must: tests diverged.
    """
    command = [
        sys.executable,
        "-m",
        "pytest_repro",
        "merge",
        *map(str, folder.glob("shard-*.json")),
        *outputs,
    ]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 1:
        raise RuntimeError(f"the merge ended with exit status {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def main() -> None:
    others = [] if "--json-only" in sys.argv else ["--html=all.html", "--junit=all.xml", "--ctrf=ctrf.json"]
    for count in _SHARDS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            size = write_shards(folder, count)
            seconds, memory = merge(folder, ["-o", "all.json", *others])
            speed = f"{seconds:6.1f} s, {1e9 * seconds / size:5.1f} ms per MB"
            used = f"{size / 1e6:7.1f} MB: {memory / 1e6:4.0f} MB of memory"
            print(f"{count:3d} reports of {_TESTS:,} tests, {used}, {speed}", flush=True)


if __name__ == "__main__":
    main()
