"""A failing difference over 256 MB, half of which differs, beside a failing ``assert_close``."""

from __future__ import annotations

import os

from _side_by_side import apart, shown

CODE = """if True:
    import statistics, sys
    sys.path.insert(0, {folder!r})
    import torch
    from _side_by_side import extra_memory, once
    from pytest_repro.core.plan.tolerance import EXACT, close_for
    from pytest_repro.values.difference import difference

    count = {size} // torch.{dtype}.itemsize
    a = (torch.rand(count) * 100 - 50).to(torch.{dtype})
    b = a.clone()
    b[::2] *= 3
    left, right = (memoryview(t.view(torch.uint8).numpy()) for t in (a, b))

    def ours(tolerance=EXACT):
        difference({dtype!r}, tuple(a.shape), left, [right], tolerance)

    def theirs():
        try:
            torch.testing.assert_close(b, a)
        except AssertionError:
            pass

    calls = [ours, lambda: ours(close_for({dtype!r})), theirs]
    difference({dtype!r}, (4,), left[:16], [right[:16]], EXACT)
    memory = [extra_memory(call) for call in calls]
    taken = [[once(call) for call in calls] for _ in range(3)]
    print(*(statistics.median(column) for column in zip(*taken)), *memory)
"""


def compare(dtype: str, size: int) -> None:
    words = apart(CODE.format(folder=os.path.dirname(__file__), dtype=dtype, size=size)).split()
    exact, close, theirs = map(float, words[:3])
    memory = [int(word) / 2**20 for word in words[3:]]
    for name, seconds, extra in (("exact", exact, memory[0]), ("close", close, memory[1])):
        print(
            f"{dtype:9} {name} {shown(seconds):>7}, {seconds / theirs:.3f} of assert_close's "
            f"{shown(theirs):>7}; {extra:.0f} MB extra, assert_close {memory[2]:.0f} MB"
        )


if __name__ == "__main__":
    for dtype in ("float32", "float64", "bfloat16", "float16", "int32", "complex64"):
        compare(dtype, 256 * 2**20)
