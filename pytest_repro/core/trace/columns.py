"""The data of a trace: one array for each property, since a million objects would need too much memory."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from threading import Lock
from typing import ClassVar, NamedTuple

ALL = -1
"""In place of a rank: all ranks of the group."""


class Collective(NamedTuple):
    """One call of a collective operation, or of send or receive, as a rank sees it.

    Attributes:
        group: Name of the process group, equal in all its ranks; for send and receive also both ranks and
            the tag, and each such channel has its own numbers.
    """

    name: str  # function of ``torch.distributed``: ``"all_reduce"``
    group: str
    number: int  # which call of its group it is, from 0: it has the same number in all ranks
    source: int = ALL  # the rank whose input it carries, or :data:`ALL`
    target: int = ALL  # the rank that gets its output, or :data:`ALL`

    @property
    def key(self) -> tuple[str, int]:
        """What identifies the call in all ranks."""
        return self.group, self.number


NO_FORWARD = -1
"""Value in the column ``forward``: the forward op is unknown."""

OpRecord = tuple[int, int, int, Sequence[int], Sequence[int], Sequence[int], int, int]
"""One op: name, place, forward, outputs, kinds, inputs, draw, picked, as in :class:`Columns`."""

_MAX_PENDING = 512


class StringTable:
    """Interned strings, by number."""

    __slots__ = ("_indices", "_lock", "strings")

    def __init__(self, texts: Sequence[str] = ()) -> None:
        self.strings = list(texts)
        self._indices = {text: number for number, text in enumerate(self.strings)}
        self._lock = Lock()

    def intern(self, text: str) -> int:
        """The number of *text*, which is added if it is new."""
        with self._lock:
            number = self._indices.setdefault(text, len(self.strings))
            if number == len(self.strings):
                self.strings.append(text)
        return number


class Columns:
    """The ops of a trace, about 50 bytes each; an op as an object would take 600.

    Digests are numbers, 0 for values that could not be digested. The outputs of the n-th op are
    ``output[output_end[n - 1]:output_end[n]]``, and likewise its inputs. A view has no entry of its own.
    """

    NUMBER_COLUMNS: ClassVar = {
        "name": "I", "place": "I", "forward": "i", "output_end": "I", "output": "Q", "kind": "I",
        "input_end": "I", "input": "Q", "draw_at": "I", "draw": "Q", "picked_at": "I", "picked": "Q",
    }  # fmt: skip
    STRING_TABLES: ClassVar = ("names", "places", "kinds")

    __slots__ = ("_lock", "_pending", "collectives", "group_ranks", *NUMBER_COLUMNS, *STRING_TABLES)

    names: StringTable  # of ops and of recorded values
    places: StringTable  # lines of the user's code, ``"/abs/file.py:19"``
    kinds: StringTable  # dtype and shape of outputs
    name: array[int]  # number in *names*
    place: array[int]  # number in *places*
    forward: array[int]  # of a backward op, index of the forward op; -1: unknown; -2 - n: a view at place n
    output_end: array[int]
    output: array[int]  # digests
    kind: array[int]  # number in *kinds*, for each output
    input_end: array[int]
    input: array[int]  # digests of inputs that are no output of a traced op
    draw_at: array[int]  # indices of the ops that drew random numbers
    draw: array[int]  # for each of these, digest of the generator's state before
    picked_at: array[int]  # indices of the ops that read a part of a tensor
    picked: array[int]  # for each of these, digest of which part
    collectives: dict[int, Collective]  # by index of their op
    group_ranks: dict[str, tuple[int, ...]]  # the ranks of each process group

    def __init__(self) -> None:
        for table in self.STRING_TABLES:
            setattr(self, table, StringTable())
        for column, code in self.NUMBER_COLUMNS.items():
            setattr(self, column, array(code))
        self.collectives, self.group_ranks = {}, {}
        self._lock = Lock()
        # The last ops, not yet in the arrays: during a training step, when Python's code is not in the CPU
        # cache, writing each op into eight arrays would take 30 µs.
        self._pending: list[OpRecord] = []

    def __len__(self) -> int:
        return len(self.name) + len(self._pending)

    def add(self, record: OpRecord) -> int:
        """Adds an op and returns its index; thread-safe."""
        with self._lock:
            self._pending.append(record)
            index = len(self.name) + len(self._pending) - 1
        if len(self._pending) >= _MAX_PENDING:
            self.flush()
        return index

    def flush(self) -> None:
        """Writes all ops into the arrays; must precede reading them."""
        with self._lock:
            for name, place, forward, outputs, kinds, inputs, draw, picked in self._pending:
                self.output.extend(outputs)
                self.kind.extend(kinds)
                self.input.extend(inputs)
                self.output_end.append(len(self.output))
                self.input_end.append(len(self.input))
                if draw:
                    self.draw_at.append(len(self.name))
                    self.draw.append(draw)
                if picked:
                    self.picked_at.append(len(self.name))
                    self.picked.append(picked)
                self.forward.append(forward)
                self.place.append(place)
                self.name.append(name)
            self._pending.clear()

    def set_outputs(self, index: int, digests: Sequence[int]) -> None:
        """Sets the outputs of the op at *index*, which were not known when it was added."""
        self.flush()
        end = self.output_end[index]
        self.output[end - len(digests) : end] = array("Q", digests)
