"""Runs test files as shards, each a task of Ray: python run_on_ray.py 4 tests/test_*.py

Each task writes its report where it runs, and returns it: machines need not share a disk. They need the same
files and packages; `runtime_env={"working_dir": "."}` in `ray.init` sends the files.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import ray


def run_shard(number: int, shards: int, files: list[str]) -> tuple[str, str]:
    """The output of pytest, and the JSON report of shard *number*; an empty one if there is none."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = ["-q", f"--repro-shard={number}/{shards}", f"--repro-json={report}"]
        command = [sys.executable, "-m", "pytest", *options, *files]
        # Ray limits a task to one thread: all machines then sum in the same order.
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr, report.read_text() if report.exists() else ""


def main(shards: int, files: list[str]) -> int:
    ray.init(include_dashboard=False, log_to_driver=False)
    # Each n-th file; a shard without files has nothing to run.
    parts = [part for number in range(shards) if (part := files[number::shards])]
    task = ray.remote(num_cpus=1)(run_shard)
    tasks = [task.remote(number, len(parts), part) for number, part in enumerate(parts, 1)]
    os.makedirs("shards", exist_ok=True)
    reports = []
    for number, (output, report) in enumerate(ray.get(tasks), 1):
        print(f"shard {number} of {len(parts)}\n{output}")
        if report:
            reports.append(f"shards/{number}.json")
            Path(reports[-1]).write_text(report)
    merge = ["merge", *reports, f"--expect-shards={len(parts)}", "-o", "all.json"]
    return subprocess.run([sys.executable, "-m", "pytest_repro", *merge], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
