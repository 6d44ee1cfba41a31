from __future__ import annotations

import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.values import hashing
from pytest_repro.values.hashing import LEAF_BYTES, digest

_BYTES = random.Random(0).randbytes(9 * LEAF_BYTES + 3)


@given(st.lists(st.integers(0, 9 * LEAF_BYTES + 3), max_size=6), st.integers(1, 4))
def test_neither_threads_nor_pieces_change_the_digest(places: list[int], threads: int) -> None:
    ends = sorted({0, len(_BYTES), *places})
    pieces = [memoryview(_BYTES)[a:b] for a, b in zip(ends, ends[1:])]  # noqa: RUF007
    assert digest("kind", [memoryview(_BYTES)], threads=1) == digest("kind", pieces, threads=threads)


@pytest.mark.parametrize("size", [0, 1, LEAF_BYTES - 1, LEAF_BYTES, LEAF_BYTES + 1, 2 * LEAF_BYTES])
def test_length_last_byte_and_kind_count(size: int) -> None:
    buffer = bytearray(_BYTES[:size])
    found = [digest("a", [memoryview(buffer)]), digest("b", [memoryview(buffer)])]
    found.append(digest("a", [memoryview(buffer + b"\0")]))
    if size:
        buffer[-1] ^= 1
        found.append(digest("a", [memoryview(buffer)]))
    assert len(set(found)) == len(found)
    assert all(len(each) == 32 for each in found)


def test_no_thread_outlives_the_digest() -> None:
    code = """if True:
        from pytest_repro.values.hashing import LEAF_BYTES, digest
        for _ in range(3):
            digest("kind", [memoryview(bytes(9 * LEAF_BYTES))], threads=4)
    """
    for _ in range(3):
        assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_an_xdist_worker_leaves_the_cores_to_its_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    hashing.choose_thread_count.cache_clear()
    try:
        assert hashing.choose_thread_count() == 1
    finally:
        hashing.choose_thread_count.cache_clear()
