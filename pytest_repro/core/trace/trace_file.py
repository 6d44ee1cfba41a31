"""The file format of traces: a magic line, a JSON header, the columns, a checksum.

All numbers are little-endian. Lengths are checked before anything is allocated, so a hostile file costs no
more memory than its own size.
"""

from __future__ import annotations

import json
import sys
from array import array
from collections.abc import Iterator
from itertools import pairwise, starmap
from operator import le, lt
from typing import Any
from zlib import crc32

from pytest_repro.core.checked_json import BadJson, JsonNode, parse_json
from pytest_repro.core.trace.columns import ALL, NO_FORWARD, Collective, Columns, StringTable

FORMAT = 1
_MAGIC = b"pytest-repro trace "
_LENGTH_BYTES, _CHECKSUM_BYTES = 8, 4


def encode_columns(columns: Columns) -> Iterator[bytes]:
    """The file content of *columns*, in pieces."""
    columns.flush()
    header: dict[str, Any] = {each: getattr(columns, each).strings for each in Columns.STRING_TABLES}
    header["counts"] = {each: len(getattr(columns, each)) for each in Columns.NUMBER_COLUMNS}
    if columns.collectives:
        header["collectives"] = [[index, *each] for index, each in columns.collectives.items()]
        header["groups"] = columns.group_ranks
    text = json.dumps(header).encode()
    checksum = 0
    for piece in (
        _MAGIC + b"%d\n" % FORMAT,
        len(text).to_bytes(_LENGTH_BYTES, "little"),
        text,
        *(_to_little_endian(getattr(columns, each)).tobytes() for each in Columns.NUMBER_COLUMNS),
    ):
        checksum = crc32(piece, checksum)
        yield piece
    yield checksum.to_bytes(_CHECKSUM_BYTES, "little")


def decode_columns(data: memoryview, name: str) -> Columns:
    """The columns in the file content *data*; errors call it *name*.

    Raises:
        ValueError: It is no trace, or a damaged or newer one.
    """
    try:
        return _decode(data)
    except BadJson as error:
        raise ValueError(f"{name}: damaged trace: {error}") from None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _decode(data: memoryview) -> Columns:
    start = _skip_magic(data)
    if crc32(data[:-_CHECKSUM_BYTES]) != int.from_bytes(data[-_CHECKSUM_BYTES:], "little"):
        raise ValueError("damaged trace: cut short, or changed since it was written")
    length = int.from_bytes(data[start : start + _LENGTH_BYTES], "little")
    start += _LENGTH_BYTES
    header = parse_json(bytes(data[start : start + length]), "its header")
    columns = Columns()
    for table in Columns.STRING_TABLES:
        setattr(columns, table, StringTable([text.as_text() for text in header[table]]))
    _fill_columns(columns, header["counts"], data[start + length : -_CHECKSUM_BYTES])
    for node in header.get("collectives") or ():
        index, name, group, number, source, target = _check_length(node, 6)
        collective = name.as_text(), group.as_text(), number.as_int(), source.as_int(ALL), target.as_int(ALL)
        columns.collectives[index.as_int()] = Collective(*collective)
    for key, members in header["groups"].items() if columns.collectives else ():
        columns.group_ranks[key] = tuple(member.as_int() for member in members)
    _check_columns(columns)
    return columns


def _check_length(node: JsonNode, length: int) -> list[JsonNode]:
    items = list(node)
    return items if len(items) == length else node.refuse(f"is a list of {len(items)}, not of {length}")


def _skip_magic(data: memoryview) -> int:
    line, found, _ = bytes(data[:40]).partition(b"\n")
    if not found or not line.startswith(_MAGIC):
        raise ValueError("no trace of pytest-repro")
    if line != _MAGIC + b"%d" % FORMAT:
        version = line.removeprefix(_MAGIC).decode("ascii", "replace")
        raise ValueError(f"a trace of format {version}; this version of pytest-repro reads format {FORMAT}")
    return len(line) + 1


def _fill_columns(columns: Columns, counts: JsonNode, body: memoryview) -> None:
    codes = Columns.NUMBER_COLUMNS.items()
    sizes = {name: counts[name].as_int() * array(code).itemsize for name, code in codes}
    if sum(sizes.values()) != body.nbytes:
        raise ValueError("damaged trace: the columns do not have the lengths that the header says")
    at = 0
    for each, size in sizes.items():
        column: array[int] = getattr(columns, each)
        column.frombytes(body[at : at + size])
        setattr(columns, each, _to_little_endian(column))
        at += size


def _to_little_endian(column: array[int]) -> array[int]:
    if sys.byteorder == "big":
        column = column[:]
        column.byteswap()
    return column


def _check_columns(c: Columns) -> None:
    """Checks that every index is valid, so that reading an op later cannot fail."""
    n = len(c.name)
    sound = (
        n == len(c.place) == len(c.forward) == len(c.output_end) == len(c.input_end)
        and len(c.output) == len(c.kind)
        and _is_sparse_column(c.draw_at, c.draw, n)
        and _is_sparse_column(c.picked_at, c.picked, n)
        and _is_within(c.name, c.names)
        and _is_within(c.place, c.places)
        and _is_within(c.kind, c.kinds)
        and _is_ascending(c.output_end, len(c.output))
        and _is_ascending(c.input_end, len(c.input))
        and max(c.forward, default=NO_FORWARD) < max(n, 1)
        and max(c.collectives, default=NO_FORWARD) < n
        and NO_FORWARD - 1 - min(c.forward, default=NO_FORWARD) < len(c.places.strings)
    )
    if not sound:
        raise ValueError("damaged trace: its columns contradict each other")


def _is_within(column: array[int], table: StringTable) -> bool:
    return max(column, default=-1) < len(table.strings)


def _is_sparse_column(indices: array[int], values: array[int], n: int) -> bool:
    """Whether each of *values* belongs to another one of *n* ops; 0 stands for no value."""
    rising = all(map(lt, indices, indices[1:])) and (not indices or indices[-1] < n)
    return rising and len(indices) == len(values) and 0 not in values


def _is_ascending(ends: array[int], last: int) -> bool:
    return not ends or (ends[-1] == last and all(starmap(le, pairwise(ends))))
