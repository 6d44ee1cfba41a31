"""The ops of one run in order, each with digests of its inputs and outputs."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple, overload

from pytest_repro.core.files import replace_file
from pytest_repro.core.trace.columns import NO_FORWARD, Collective, Columns
from pytest_repro.core.trace.trace_file import decode_columns, encode_columns


class Op(NamedTuple):
    """One step of a run.

    Attributes:
        name: ``"aten.index_put.default"``; ``"record loss[3]"`` for a recorded value; ``"from numpy"`` or
            ``"from Python"`` for data that enters torch.
        outputs: Digests of the outputs, 16 hexadecimal digits each; ``""`` for values that could not be
            digested.
        inputs: Digests of the inputs that are no output of a traced op (in a thorough trace, of all inputs),
            in order; then one digest of all arguments that are no tensors, if there are any.
        location: The user's line, ``"/abs/file.py:19"``; ``""`` if unknown.
        forward: For an op of the backward pass, index of its forward op.
        forward_location: The user's line of that forward op; known for views as well, which have no index.
        generator_state: For an op that drew random numbers, digest of the generator's state before it.
        view: For an op that read a part of a tensor, digest of offset, shape and strides.
        kinds: dtype and shape of the outputs, ``"float32[4, 8]"``.
    """

    name: str
    outputs: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    location: str = ""
    forward: int | None = None
    forward_location: str = ""
    generator_state: str = ""
    view: str = ""
    kinds: tuple[str, ...] = ()


class Trace(Sequence[Op]):
    """The ops of one run in order; their data, *columns*, may still grow."""

    __slots__ = ("_columns",)

    def __init__(self, columns: Columns | None = None) -> None:
        self._columns = Columns() if columns is None else columns

    @classmethod
    def from_ops(cls, ops: Iterable[Op]) -> Trace:
        """A trace of *ops*; an op's ``forward_location`` is ignored if its ``forward`` is an earlier op."""
        columns = Columns()
        for op in ops:
            forward = op.forward
            if forward is None or not 0 <= forward < len(columns):
                forward = NO_FORWARD
                if op.forward_location:
                    forward -= 1 + columns.places.intern(op.forward_location)
            record = (
                columns.names.intern(op.name),
                columns.places.intern(op.location),
                forward,
                [*map(parse_digest, op.outputs)],
                [*map(columns.kinds.intern, op.kinds or ("",) * len(op.outputs))],
                [*map(parse_digest, op.inputs)],
                parse_digest(op.generator_state),
                parse_digest(op.view),
            )
            columns.add(record)
        return cls(columns)

    @overload
    def __getitem__(self, index: int) -> Op: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Op, ...]: ...
    def __getitem__(self, index: int | slice) -> Op | tuple[Op, ...]:
        self._columns.flush()
        places = range(len(self))[index]
        return self._read_op(places) if isinstance(places, int) else tuple(map(self._read_op, places))

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        return f"<Trace of {len(self)} ops>"

    @property
    def collectives(self) -> Mapping[int, Collective]:
        """The collectives among the ops, by index."""
        return self._columns.collectives

    @property
    def group_ranks(self) -> Mapping[str, tuple[int, ...]]:
        """The ranks of each process group that has collectives, by its name."""
        return self._columns.group_ranks

    def comparison_key(self, start: int, stop: int) -> tuple[object, ...]:
        """Everything that is compared of the ops from *start* to *stop*.

        It equals that of the same ops of another trace if all ops before *start* are equal, too.
        """
        c = self._columns
        c.flush()
        first, last = _count_entries(c, start), _count_entries(c, stop)
        compared = ("output_end", "input_end", "output", "input", "draw_at", "draw")
        names = c.names.strings
        return (
            [names[number] for number in c.name[start:stop]],
            *(getattr(c, each)[first[each] : last[each]] for each in compared),
        )

    def head(self, stop: int) -> Trace:
        """A trace of the first *stop* ops."""
        c, cut, stop = self._columns, Columns(), min(stop, len(self))
        c.flush()
        lengths = _count_entries(c, stop)
        for each in Columns.STRING_TABLES:
            setattr(cut, each, getattr(c, each))
        for each in Columns.NUMBER_COLUMNS:
            setattr(cut, each, getattr(c, each)[: lengths[each]])
        cut.collectives = {index: each for index, each in c.collectives.items() if index < stop}
        cut.group_ranks = c.group_ranks
        return Trace(cut)

    def to_bytes(self) -> bytes:
        """The trace as :meth:`from_bytes` reads it."""
        return b"".join(encode_columns(self._columns))

    @classmethod
    def from_bytes(cls, data: bytes | memoryview, name: str = "data") -> Trace:
        """The trace that :meth:`to_bytes` wrote; errors call *data* by *name*.

        Raises:
            ValueError: *data* is no trace, or a damaged or newer one.
        """
        return cls(decode_columns(memoryview(data), name))

    def save(self, path: str | PathLike[str]) -> None:
        """Writes the trace to *path*.

        Raises:
            OSError: It cannot be written; the old file, if any, is unchanged.
        """
        replace_file(Path(path), encode_columns(self._columns))

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Trace:
        """Reads a trace that was saved, by this process or another.

        Raises:
            OSError: *path* cannot be read.
            ValueError: It is no trace, or a damaged or newer one; the message has the path.
        """
        return cls.from_bytes(Path(path).read_bytes(), str(path))

    def _read_op(self, index: int) -> Op:
        c = self._columns
        outputs = slice(_start_offset(c.output_end, index), c.output_end[index])
        forward, forward_location = self._resolve_forward(c.forward[index])
        return Op(
            c.names.strings[c.name[index]],
            tuple(map(_format_digest, c.output[outputs])),
            tuple(map(_format_digest, c.input[_start_offset(c.input_end, index) : c.input_end[index]])),
            c.places.strings[c.place[index]],
            forward,
            forward_location,
            _format_digest(_lookup_sparse(c.draw_at, c.draw, index)),
            _format_digest(_lookup_sparse(c.picked_at, c.picked, index)),
            tuple(c.kinds.strings[number] for number in c.kind[outputs]),
        )

    def _resolve_forward(self, number: int) -> tuple[int | None, str]:
        places = self._columns.places.strings
        if number >= 0:
            return number, places[self._columns.place[number]]
        return None, places[NO_FORWARD - 1 - number] if number < NO_FORWARD else ""


def _count_entries(c: Columns, n: int) -> dict[str, int]:
    """Number of entries of the first *n* ops in each column."""
    outputs, inputs = _start_offset(c.output_end, n), _start_offset(c.input_end, n)
    draws, picks = bisect_left(c.draw_at, n), bisect_left(c.picked_at, n)
    return dict.fromkeys(Columns.NUMBER_COLUMNS, n) | {
        "output": outputs, "kind": outputs, "input": inputs,
        "draw_at": draws, "draw": draws, "picked_at": picks, "picked": picks,
    }  # fmt: skip


def _start_offset(ends: array[int], index: int) -> int:
    return ends[index - 1] if index else 0


def _lookup_sparse(indices: array[int], values: array[int], index: int) -> int:
    at = bisect_left(indices, index)
    return values[at] if at < len(indices) and indices[at] == index else 0


def _format_digest(digest: int) -> str:
    return f"{digest:016x}" if digest else ""


def parse_digest(digest: str) -> int:
    """The first 16 hexadecimal digits of *digest* as a number; 0 for ``""``."""
    return int(digest[:16] or "0", 16)
