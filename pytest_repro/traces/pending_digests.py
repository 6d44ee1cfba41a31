"""Digests that still lie on devices, fetched many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from pytest_repro.core.trace.columns import Columns
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
        self._waiting: list[tuple[bool, int, int, Late]] = []
        # Whether it is an output, the index of its op, its number there.

    def expect(self, index: int, outputs: Sequence[Digest], inputs: Sequence[Digest]) -> None:
        """Notes which digests of the op at *index* come later."""
        for is_output, digests in ((True, outputs), (False, inputs)):
            for number, each in enumerate(digests):
                if isinstance(each, Late):
                    self._waiting.append((is_output, index, number, each))
        if len(self._waiting) > _MANY:
            self.fetch()

    def fetch(self) -> None:
        """Fetches all digests that wait; of a device that fails none come, and the program goes on."""
        waiting, self._waiting = self._waiting, []
        c = self._columns
        if waiting:
            c.settle()
        for _, group in groupby(waiting, lambda each: each[3].scalar.device):
            found = list(group)
            try:
                digests = late([each for *_, each in found])
            except Exception:
                continue
            for (is_output, index, number, _), digest in zip(found, digests):
                column, end = (c.output, c.output_end) if is_output else (c.input, c.input_end)
                column[(end[index - 1] if index else 0) + number] = digest
