"""Digests that still lie on devices, fetched many at a time."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import groupby

from pytest_repro.core.columns import Columns
from pytest_repro.traces.digests import Digest, Late, late

_MANY = 4096  # scalars that wait: each keeps 512 bytes of a device


class Arriving:
    """Digests of a trace that are not here yet.

    Args:
        columns: Those of the trace, which hold 0 in their places.
    """

    __slots__ = ("_columns", "_waiting")

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._waiting: list[tuple[array[int], int, Late]] = []

    def expect(self, index: int, outputs: Sequence[Digest], inputs: Sequence[Digest]) -> None:
        """Notes which digests of the op at *index* come later."""
        c = self._columns
        c.settle()
        for column, end, digests in ((c.output, c.output_end, outputs), (c.input, c.input_end, inputs)):
            first = end[index] - len(digests)
            for place, each in enumerate(digests, first):
                if isinstance(each, Late):
                    self._waiting.append((column, place, each))
        if len(self._waiting) > _MANY:
            self.fetch()

    def fetch(self) -> None:
        """Fetches all digests that wait."""
        waiting, self._waiting = self._waiting, []
        for _, group in groupby(waiting, lambda each: each[2].scalar.device):
            found = list(group)
            for (column, place, _), digest in zip(found, late([each for _, _, each in found])):
                column[place] = digest
