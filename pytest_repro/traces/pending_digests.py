"""Digests that still lie on devices, fetched many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from pytest_repro.core.trace.columns import Columns
from pytest_repro.traces.digests import DeviceDigest, Digest, fetch_digests

_MAX_PENDING = 4096  # scalars that wait: each keeps 512 bytes of a device


class PendingDigests:
    """Digests of a trace that are not here yet.

    Args:
        columns: Those of the trace, which hold 0 in their places.
    """

    __slots__ = ("_columns", "_pending")

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._pending: list[tuple[bool, int, int, DeviceDigest]] = []
        # Whether it is an output, the index of its op, its number there.

    def add_op(self, index: int, outputs: Sequence[Digest], inputs: Sequence[Digest]) -> None:
        """Notes which digests of the op at *index* come later."""
        for is_output, digests in ((True, outputs), (False, inputs)):
            for number, each in enumerate(digests):
                if isinstance(each, DeviceDigest):
                    self._pending.append((is_output, index, number, each))
        if len(self._pending) > _MAX_PENDING:
            self.fetch()

    def fetch(self) -> None:
        """Fetches all digests that wait; of a device that fails none come, and the program goes on."""
        waiting, self._pending = self._pending, []
        c = self._columns
        if waiting:
            c.flush()
        for _, group in groupby(waiting, lambda each: each[3].scalar.device):
            found = list(group)
            try:
                digests = fetch_digests([each for *_, each in found])
            except Exception:
                continue
            for (is_output, index, number, _), digest in zip(found, digests):
                column, end = (c.output, c.output_end) if is_output else (c.input, c.input_end)
                column[(end[index - 1] if index else 0) + number] = digest
