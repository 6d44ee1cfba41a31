"""Digests what a run recorded as rows in any order."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_repro.core.compare.table import count_rows, iter_tables, list_columns
from pytest_repro.core.runs.observation import Key, Observation
from pytest_repro.engine.runs.distance import load_content
from pytest_repro.engine.runs.recording import RecordingBase
from pytest_repro.values.rows import MAX_ROWS, ColumnBytes, hash_rows, is_default_index
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
    observations = recording.observations()
    in_frames, others = _digest_frames(observations, store)
    for key, found in observations.items():
        if key in in_frames:
            continue
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
        others += [f"{table}".encode(), *_order(hashes)]
    return _hash(others).hex()


def _order(hashes: list[Any]) -> list[Any]:
    """The hashes of rows in order of their values, or as they are if many are equal."""
    return sorted(hashes) if len(set(hashes)) >= _MIN_DISTINCT * len(hashes) else hashes


def _digest_frames(
    observations: Mapping[Key, Observation], store: SpillStore
) -> tuple[set[Key], list[bytes]]:
    """The keys of the columns of tables that a library made, and the rows of each of these tables."""
    done, rows = set[Key](), list[bytes]()
    for table, kind in iter_tables(observations):
        count = count_rows(kind) or 0
        columns, _ = list_columns(observations, table, count)
        contents = {key: load_content(observations[key].content, store) for key in columns}
        if not 1 < count <= MAX_ROWS or done & columns.keys() or None in contents.values():
            continue
        parts = [(key, ColumnBytes(observations[key].dtype, contents[key][:])) for key in columns]  # type: ignore[index]
        parts = [
            (key, part)
            for key, part in parts
            if not (columns[key].is_index and is_default_index(part, count))
        ]
        kinds = [f"{key} {observations[key].kind}" for key in columns]
        hashes = hash_rows([part for _, part in parts], count).tolist()
        rows.append(f"{table} {kind} {kinds} {_order(hashes)}".encode())
        done |= columns.keys()
    return done, rows


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
