"""Digests what a run recorded as rows in any order."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator

from pytest_repro.core.runs.observation import Key, Observation
from pytest_repro.engine.runs.distance import load_content
from pytest_repro.engine.runs.recording import RecordingBase
from pytest_repro.values.spill_store import SpillStore

_MAX_ROWS, _MIN_DISTINCT = 200_000, 0.75
_INDEX = re.compile(r"\[(\d+)\]")
_LAST_PART = re.compile(r"(\.\w+|\[[^\[\]]*\])$")

_Table = tuple[str, int, str, int | None]
"""Name, step and path of what is a table of its own, and its number of rows; None for a list."""


def digest_rows(recording: RecordingBase, store: SpillStore) -> str:
    """A digest of the rows of what was recorded, equal for equal rows in any order; ``""`` if it is unknown.

    Rows are the items of a list, and those of an array along its first dimension. Arrays and lists of one
    dict or object and of one length are the columns of a table, whose rows are compared as a whole. Their
    order counts if many rows are equal: two one-hot vectors have equal items.
    """
    tables: defaultdict[_Table, defaultdict[int, list[bytes]]] = defaultdict(lambda: defaultdict(list))
    others: list[bytes] = []
    for found in recording.observations().values():
        content = load_content(found.content, store)
        if content is None:
            return ""
        values = bytes(content[:])
        path = found.key[2]
        if index := _INDEX.search(path):
            head, rest = path[: index.start()], path[index.end() :]
            rows = tables[_find_table(found.key, head, None)]
            rows[int(index[1])].append(f"{head}[]{rest} {found.kind} ".encode() + values)
        elif found.shape and 1 < found.shape[0] <= _MAX_ROWS:
            rows = tables[_find_table(found.key, path, found.shape[0])]
            for number, row in enumerate(_split(found, values)):
                rows[number].append(f"{path} {found.kind} ".encode() + row)
        else:
            others.append(f"{found.key} {found.kind} ".encode() + values)
    for table, rows in tables.items():
        hashes = [_hash(row) for row in rows.values()]
        has_distinct_rows = len(set(hashes)) >= _MIN_DISTINCT * len(hashes)
        others += [f"{table}".encode(), *(sorted(hashes) if has_distinct_rows else hashes)]
    return _hash(others).hex()


def _split(found: Observation, values: bytes) -> Iterator[bytes]:
    size = len(values) // found.shape[0]
    return (values[size * number : size * (number + 1)] for number in range(found.shape[0]))


def _find_table(key: Key, path: str, length: int | None) -> _Table:
    """The table of a column: what holds it. A local variable is no column of the others."""
    name, step, _ = key
    owner = _LAST_PART.sub("", path)
    return name, step, owner if owner or name != "locals" else path, length


def _hash(parts: list[bytes]) -> bytes:
    hashing = hashlib.blake2b(digest_size=16)
    for part in parts:
        hashing.update(len(part).to_bytes(8, "little") + part)
    return hashing.digest()
