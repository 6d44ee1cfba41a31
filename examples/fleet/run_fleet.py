"""Runs a test file in eight interpreters, as eight machines would: python run_fleet.py test_machine.py"""

import itertools
import os
import subprocess
import sys

for isa, threads, seed in itertools.product(("avx2", "default"), "12", "01"):
    variables = {"ATEN_CPU_CAPABILITY": isa, "OMP_NUM_THREADS": threads, "PYTHONHASHSEED": seed}
    report = f"fleet/{isa}-{threads}-{seed}.json"
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", f"--repro-json={report}", *sys.argv[1:]]
    done = subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    print(report)
