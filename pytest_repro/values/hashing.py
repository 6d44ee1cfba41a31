"""Digests of values: of the kind, then the logical bytes, as a tree of fixed leaves.

The bytes are cut into leaves of 4 MiB, each leaf is hashed with xxh3-128, and the digest is the
hash of the kind and the hashes of the leaves. So it depends neither on the number of threads nor on how
the bytes arrive. xxh3 is not cryptographic: it detects accidents, not attacks.
"""

from __future__ import annotations

import os
from _thread import start_new_thread
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from queue import SimpleQueue

import xxhash

from pytest_repro.core.machine import count_cores

LEAF_BYTES = 4 * 2**20
"""Bytes of a leaf."""

_MIN_LEAVES_FOR_THREADS = 8
# Starting a thread takes 0.1 to 0.3 ms, in which one thread hashes 8 MiB. With an idle core 16 MiB gain
# nothing and 32 MiB are hashed 1.5 times as fast; with a busy one they are 5 to 30 % slower.


@cache
def choose_thread_count() -> int:
    """The number of threads worth using: the cores of this process, up to 4, or 1 if it shares them.

    xxhash releases the GIL from version 4.0 on; workers of pytest-xdist share the cores.
    """
    if int(xxhash.VERSION.split(".")[0]) < 4 or "PYTEST_XDIST_WORKER" in os.environ:
        return 1
    return min(count_cores(), 4)


def digest(kind: str, pieces: Iterable[memoryview], threads: int | None = None) -> str:
    """Digest of *kind* (``"float32[4, 8]"``), then of the bytes in C order, little-endian.

    The kind is hashed too: the same bytes with another dtype or shape do not collide.

    Args:
        kind: dtype and shape, or the name of a Python type.
        pieces: Contiguous byte buffers of any length; each is valid until the next is taken.
        threads: Number of threads for a large buffer; by default :func:`choose_thread_count`.

    Returns:
        32 hexadecimal digits.
    """
    root = xxhash.xxh3_128(kind.encode())
    root.update(b"\0")
    for leaf in _hash_leaves(pieces, threads or choose_thread_count()):
        root.update(leaf)
    return root.hexdigest()


def _hash_leaves(pieces: Iterable[memoryview], threads: int) -> Iterator[bytes]:
    hasher, filled = xxhash.xxh3_128(), 0
    for piece in pieces:
        rest = memoryview(piece)
        if filled:
            head, rest = rest[: LEAF_BYTES - filled], rest[LEAF_BYTES - filled :]
            hasher.update(head)
            filled += head.nbytes
            if filled < LEAF_BYTES:
                continue
            yield hasher.digest()
            hasher, filled = xxhash.xxh3_128(), 0
        whole = rest.nbytes - rest.nbytes % LEAF_BYTES
        yield from _hash_whole_leaves(rest[:whole], threads)
        hasher.update(rest[whole:])
        filled = rest.nbytes - whole
    if filled:
        yield hasher.digest()


def _hash_whole_leaves(buffer: memoryview, threads: int) -> Iterable[bytes]:
    leaves = [buffer[start : start + LEAF_BYTES] for start in range(0, buffer.nbytes, LEAF_BYTES)]
    if threads < 2 or len(leaves) < _MIN_LEAVES_FOR_THREADS:
        return map(xxhash.xxh3_128_digest, leaves)
    return _hash_in_threads(leaves, threads)


def _hash_in_threads(leaves: list[memoryview], threads: int) -> list[bytes]:
    """The hashes of *leaves*, by this thread and ``threads - 1`` others.

    Bare threads take 0.6 of the time of a pool for 32 MiB, as a pool waits until its threads have started.
    All are waited for, also after Ctrl-C: one still running when Python ends aborts it.
    """
    hashes = [b""] * len(leaves)
    todo = list(range(len(leaves)))
    finished: SimpleQueue[None] = SimpleQueue()

    def hash_remaining() -> None:
        with suppress(IndexError):
            while True:
                index = todo.pop()
                hashes[index] = xxhash.xxh3_128_digest(leaves[index])

    def hash_and_signal() -> None:
        hash_remaining()
        finished.put(None)

    for _ in range(threads - 1):
        start_new_thread(hash_and_signal, ())
    try:
        hash_remaining()
    finally:
        todo.clear()
        for _ in range(threads - 1):
            finished.get()
    return hashes


def short_digest(text: str) -> str:
    """16 hexadecimal digits of xxh3-64, for use in names."""
    return xxhash.xxh3_64_hexdigest(text.encode("utf-8", "surrogatepass"))
