"""Comparisons: of two arrays, and of the reports of many machines.

A failing comparison of 256 MB, half of which differs, beside a failing ``torch.testing.assert_close``; and
``pytest-repro compare`` of up to 2,000 reports of 40 tests with 20 values each, beside reading them only.

python benchmarks/bench_compare.py [--quick]
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from _timing import QUICK, format_seconds, run_python

CODE = """if True:
    import statistics, sys
    sys.path.insert(0, {folder!r})
    import torch
    from _timing import measure_extra_memory, measure_seconds
    from pytest_repro.core.plan.plan import EXACT, default_tolerance
    from pytest_repro.values.difference import measure_difference

    count = {size} // torch.{dtype}.itemsize
    a = (torch.rand(count) * 100 - 50).to(torch.{dtype})
    b = a.clone()
    b[::2] *= 3
    left, right = (memoryview(t.view(torch.uint8).numpy()) for t in (a, b))

    def compare(tolerance=EXACT):
        measure_difference({dtype!r}, tuple(a.shape), left, [right], tolerance)

    def assert_close():
        try:
            torch.testing.assert_close(b, a)
        except AssertionError:
            pass

    calls = [compare, lambda: compare(default_tolerance({dtype!r})), assert_close]
    measure_difference({dtype!r}, (4,), left[:16], [right[:16]], EXACT)
    memory = [measure_extra_memory(call) for call in calls]
    seconds = [[measure_seconds(call) for call in calls] for _ in range(3)]
    print(*(statistics.median(column) for column in zip(*seconds)), *memory)
"""


def compare(dtype: str, size: int) -> None:
    words = run_python(CODE.format(folder=os.path.dirname(__file__), dtype=dtype, size=size)).split()
    exact, close, reference = map(float, words[:3])
    memory = [int(word) / 2**20 for word in words[3:]]
    for name, seconds, extra in (("exact", exact, memory[0]), ("close", close, memory[1])):
        print(
            f"{dtype:9} {name} {format_seconds(seconds):>7}, {seconds / reference:.3f} of assert_close's "
            f"{format_seconds(reference):>7}; {extra:.0f} MB extra, assert_close {memory[2]:.0f} MB"
        )


FLEET_CODE = """if True:
    import json, sys
    sys.path.insert(0, {folder!r})
    from pathlib import Path
    from _timing import measure_extra_memory, measure_seconds
    from pytest_repro.cli.compare import CompareOptions
    from pytest_repro.cli.fleet.comparison import compare_fleet
    from pytest_repro.cli.fleet.data import make_data
    from pytest_repro.cli.fleet.page import render_page
    from pytest_repro.cli.fleet.records import read_fleet
    from pytest_repro.cli.fleet.text import FleetText
    from pytest_repro.core.plan.plan import Tolerance
    from pytest_repro.reports.json.report import read_report

    paths = sorted(map(str, Path({reports!r}).glob("*.json")))[:{count}]
    options = CompareOptions(Tolerance(0.0, {atol}), False, {atol} > 0)

    def compare():
        comparison = compare_fleet(read_fleet(paths, options), options)
        "".join(FleetText(comparison).format())
        json.dumps(make_data(comparison))
        render_page(comparison)

    seconds = []
    read_report(paths[0])
    memory = measure_extra_memory(lambda: seconds.append(measure_seconds(compare)))
    print(seconds[0], measure_seconds(lambda: [read_report(path) for path in paths]), memory)
"""
"""Text, JSON and page are part of what is measured."""


def write_fleet(folder: Path, machines: int, unique: bool) -> None:
    """Reports of which every tenth has other values on two tests; if *unique*, each has values of its own."""
    tests, values = (4, 5) if QUICK else (40, 20)
    for machine in range(machines):
        rows = []
        for test in range(tests):
            change = machine + 1 if unique else int(test < 2 and machine % 10 == 0)
            rows.append(
                {
                    "nodeid": f"test_model.py::test_step[{test}]",
                    "verdict": "reproduced",
                    "plan": {"runs": 2, "seed": 0},
                    "runs": [],
                    "observations": [
                        {
                            "name": f"loss[{step}]",
                            "kind": "float64[]",
                            "digest": f"{change * 10**9 + test * 10**4 + step:032x}",
                            "values": [step + change / 2**20],
                        }
                        for step in range(values)
                    ],
                }
            )
        environment = {
            "cpu capability": "AVX512" if machine % 10 else "AVX2",
            "threads": str(1 + machine % 3),
        }
        report = {"format": 1, "environment": environment, "seed": 0, "tests": rows}
        (folder / f"machine-{machine:04}.json").write_text(json.dumps(report, indent=1))


def compare_fleet() -> None:
    for kind, unique, atol in (
        ("few classes", False, 0.0),
        ("all differ", True, 0.0),
        ("all close", True, 1.0),
    ):
        with tempfile.TemporaryDirectory() as name:
            counts = (4, 8) if QUICK else (500, 1000, 2000)
            write_fleet(Path(name), counts[-1], unique)
            for count in counts:
                code = FLEET_CODE.format(
                    folder=os.path.dirname(__file__), reports=name, count=count, atol=atol
                )
                seconds, reading, memory = map(float, run_python(code).split())
                print(
                    f"{count:,} reports, {kind}: {format_seconds(seconds):>7}, {seconds / reading:.2f} of "
                    f"reading them, {1e3 * seconds / count:.1f} ms each; {memory / 2**20:.0f} MB extra"
                )


def main() -> None:
    compare_fleet()
    dtypes = ("float32", "float64", "bfloat16", "float16", "int32", "complex64")
    for dtype in dtypes[:1] if QUICK else dtypes:
        compare(dtype, 2**16 if QUICK else 256 * 2**20)


if __name__ == "__main__":
    main()
