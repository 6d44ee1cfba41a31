"""What a trace is made of: one array per property, since a million objects would not fit."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from threading import Lock
from typing import ClassVar

NOWHERE = -1
"""In the column ``forward``: no forward op is known."""

Row = tuple[int, int, int, Sequence[int], Sequence[int], Sequence[int], int, int]
"""One op: name, place, forward, outputs, kinds, inputs, draws, picked, as :class:`Columns` says."""

_MANY = 512


class Texts:
    """Texts by number; each is kept once."""

    __slots__ = ("_lock", "_numbers", "all")

    def __init__(self, texts: Sequence[str] = ()) -> None:
        self.all = list(texts)
        self._numbers = {text: number for number, text in enumerate(self.all)}
        self._lock = Lock()

    def number(self, text: str) -> int:
        """The number of *text*, which is kept from now on."""
        with self._lock:
            number = self._numbers.setdefault(text, len(self.all))
            if number == len(self.all):
                self.all.append(text)
        return number


class Columns:
    """The ops of a trace, about 50 bytes each; an op as an object would take 600.

    Digests are numbers, 0 for what could not be digested. The n-th op has the outputs up to
    ``output_end[n]`` and the inputs up to ``input_end[n]``, from where those of the op before end.

    Attributes:
        names: Of ops and of recorded values.
        places: Lines of the user's, ``"/abs/file.py:19"``.
        kinds: dtype and shape of outputs.
        name: Number in *names*.
        place: Number in *places*.
        forward: Index of the op that made the autograd node within which this op ran; ``-1``
            unknown; ``-2 - n`` for a view, which has no entry of its own, at place ``n``.
        output: Digests of outputs.
        kind: For each output its number in *kinds*.
        input: Digests of inputs that no traced op made.
        draw_at: Indices of the ops that drew random numbers; *draw*: the generator's state before.
        picked_at: Indices of the ops that read a part of a tensor; *picked*: which part.
    """

    NUMBERS: ClassVar = {
        "name": "I", "place": "I", "forward": "i", "output_end": "I", "output": "Q", "kind": "I",
        "input_end": "I", "input": "Q", "draw_at": "I", "draw": "Q", "picked_at": "I", "picked": "Q",
    }  # fmt: skip
    TEXTS: ClassVar = ("names", "places", "kinds")

    __slots__ = ("_lock", "_rows", *NUMBERS, *TEXTS)

    names: Texts
    places: Texts
    kinds: Texts
    name: array[int]
    place: array[int]
    forward: array[int]
    output_end: array[int]
    output: array[int]
    kind: array[int]
    input_end: array[int]
    input: array[int]
    draw_at: array[int]
    draw: array[int]
    picked_at: array[int]
    picked: array[int]

    def __init__(self) -> None:
        for each in self.TEXTS:
            setattr(self, each, Texts())
        for each, code in self.NUMBERS.items():
            setattr(self, each, array(code))
        self._lock = Lock()
        # The last ops as they came, until they are many: writing each into eight arrays at once
        # would take 30 µs of a training step, where Python's code is not in the cache.
        self._rows: list[Row] = []

    def __len__(self) -> int:
        return len(self.name) + len(self._rows)

    def add(self, row: Row) -> int:
        """Adds one op and gives its index; several threads may add at a time."""
        with self._lock:
            self._rows.append(row)
            index = len(self.name) + len(self._rows) - 1
        if len(self._rows) >= _MANY:
            self.settle()
        return index

    def settle(self) -> None:
        """Writes all ops into the arrays: before they are read."""
        with self._lock:
            for row in self._rows:
                self._write(*row)
            self._rows.clear()

    def _write(
        self,
        name: int,
        place: int,
        forward: int,
        outputs: Sequence[int],
        kinds: Sequence[int],
        inputs: Sequence[int],
        draws: int,
        picked: int,
    ) -> None:
        self.output.extend(outputs)
        self.kind.extend(kinds)
        self.input.extend(inputs)
        self.output_end.append(len(self.output))
        self.input_end.append(len(self.input))
        if draws:
            self.draw_at.append(len(self.name))
            self.draw.append(draws)
        if picked:
            self.picked_at.append(len(self.name))
            self.picked.append(picked)
        self.forward.append(forward)
        self.place.append(place)
        self.name.append(name)
