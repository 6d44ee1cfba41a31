"""A failing comparison of 256 MB, half of which differs, beside a failing ``torch.testing.assert_close``.

python benchmarks/bench_compare.py [--quick]
"""

from __future__ import annotations

import os

from _timing import QUICK, format_seconds, run_python

CODE = """if True:
    import statistics, sys
    sys.path.insert(0, {folder!r})
    import torch
    from _timing import measure_extra_memory, measure_seconds
    from pytest_repro.core.plan.tolerance import EXACT, default_tolerance
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


def main() -> None:
    dtypes = ("float32", "float64", "bfloat16", "float16", "int32", "complex64")
    for dtype in dtypes[:1] if QUICK else dtypes:
        compare(dtype, 2**16 if QUICK else 256 * 2**20)


if __name__ == "__main__":
    main()
