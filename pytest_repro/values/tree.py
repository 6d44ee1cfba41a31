"""Digest of a value: its kind first, then its logical bytes, as a tree of fixed leaves.

The bytes are cut into leaves of 4 MiB, each leaf is hashed with xxh3-128, and the digest is the
hash of the kind and the leaves' hashes. The leaves are fixed, so the digest is the same however
many threads share them and however the bytes arrive. xxh3 is no cryptographic hash: it finds
accidents, not attackers.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import xxhash

LEAF = 4 * 2**20
"""Bytes in a leaf of the tree."""

_WORTH_SHARING = 4
# Leaves. Starting two threads costs 0.1 to 0.2 ms, hashing 16 MiB about 1 ms.


@cache
def cores() -> int:
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
        threads: How many threads may hash one large buffer; by default what :func:`cores` says.

    Returns:
        32 hexadecimal digits.
    """
    root = xxhash.xxh3_128(kind.encode())
    root.update(b"\0")
    for leaf in _leaves(pieces, threads or cores()):
        root.update(leaf)
    return root.hexdigest()


def _leaves(pieces: Iterable[memoryview], threads: int) -> Iterator[bytes]:
    """The hashes of the leaves, however the stream is cut into pieces."""
    hasher, filled = xxhash.xxh3_128(), 0
    for piece in pieces:
        rest = memoryview(piece)
        if filled:
            head, rest = rest[: LEAF - filled], rest[LEAF - filled :]
            hasher.update(head)
            filled += head.nbytes
            if filled < LEAF:
                continue
            yield hasher.digest()
            hasher, filled = xxhash.xxh3_128(), 0
        whole = rest.nbytes - rest.nbytes % LEAF
        yield from _of_whole(rest[:whole], threads)
        hasher.update(rest[whole:])
        filled = rest.nbytes - whole
    if filled:
        yield hasher.digest()


def _of_whole(buffer: memoryview, threads: int) -> Iterable[bytes]:
    cuts = [buffer[at : at + LEAF] for at in range(0, buffer.nbytes, LEAF)]
    if threads < 2 or len(cuts) < _WORTH_SHARING:
        return map(xxhash.xxh3_128_digest, cuts)
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(xxhash.xxh3_128_digest, cuts))
