"""Digest of a value: its kind first, then its logical bytes, as a tree of fixed leaves.

The bytes are cut into leaves of 4 MiB, each leaf is hashed with xxh3-128, and the digest is the
hash of the kind and the leaves' hashes. The leaves are fixed, so the digest is the same however
many threads share them and however the bytes arrive. xxh3 is no cryptographic hash: it finds
accidents, not attackers.
"""

from __future__ import annotations

import os
from _thread import start_new_thread
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from queue import SimpleQueue

import xxhash

LEAF_BYTES = 4 * 2**20
"""Bytes in a leaf of the tree."""

_MIN_LEAVES_FOR_THREADS = 8
# Leaves. Until another thread runs 0.1 to 0.3 ms pass, in which one hashes 8 MiB: with an idle core
# 16 MiB gain nothing and 32 MiB run at 1.5 of one thread; with a busy one they lose 5 to 30 %.


@cache
def choose_thread_count() -> int:
    """How many threads are worth it: those of this process, one where it shares them.

    xxhash releases the GIL from version 4.0 on; a worker of pytest-xdist has its neighbours.
    """
    if int(xxhash.VERSION.split(".")[0]) < 4 or "PYTEST_XDIST_WORKER" in os.environ:
        return 1
    available = getattr(os, "sched_getaffinity", None)
    return min(len(available(0)) if available else os.cpu_count() or 1, 4)


def digest(kind: str, pieces: Iterable[memoryview], threads: int | None = None) -> str:
    """Digest of *kind* (``"float32[4, 8]"``), then the bytes in C order, little-endian.

    Kind is hashed too: the same bytes under another dtype or shape never collide.

    Args:
        kind: dtype and shape, or the name of a Python type.
        pieces: Contiguous byte buffers of any length; each is valid until the next is taken.
        threads: How many threads may hash one large buffer; by default what :func:`choose_thread_count` says.

    Returns:
        32 hexadecimal digits.
    """
    root = xxhash.xxh3_128(kind.encode())
    root.update(b"\0")
    for leaf in _hash_leaves(pieces, threads or choose_thread_count()):
        root.update(leaf)
    return root.hexdigest()


def _hash_leaves(pieces: Iterable[memoryview], threads: int) -> Iterator[bytes]:
    """The hashes of the leaves, however the stream is cut into pieces."""
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
    cuts = [buffer[at : at + LEAF_BYTES] for at in range(0, buffer.nbytes, LEAF_BYTES)]
    if threads < 2 or len(cuts) < _MIN_LEAVES_FOR_THREADS:
        return map(xxhash.xxh3_128_digest, cuts)
    return _hash_in_threads(cuts, threads)


def _hash_in_threads(leaves: list[memoryview], threads: int) -> list[bytes]:
    """The hashes of *leaves*, by this thread and as many others as make up *threads*.

    Bare threads, since a pool waits until each of its own has started: 32 MiB take 0.6 of the
    time. Each is waited for, also after Ctrl-C: one left over when Python ends aborts it.
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
    """16 hexadecimal digits of xxh3-64, to call something by."""
    return xxhash.xxh3_64_hexdigest(text.encode("utf-8", "surrogatepass"))
