"""Collective operations in the trace of a rank: by them, ops of several ranks are put in an order."""

from __future__ import annotations

from typing import NamedTuple

ALL = -1
"""In place of a rank: all ranks of the group."""


class Collective(NamedTuple):
    """One call of a collective operation, or of send or receive, as a rank sees it.

    Attributes:
        name: Function of ``torch.distributed``: ``"all_reduce"``.
        group: Name of the process group, equal in all its ranks; for send and receive also both ranks and
            the tag, and each such channel has its own numbers.
        number: Which call of its group it is, from 0: it has the same number in all ranks.
        source: The rank whose input it carries, or :data:`ALL`.
        target: The rank that gets its output, or :data:`ALL`.
    """

    name: str
    group: str
    number: int
    source: int = ALL
    target: int = ALL

    @property
    def key(self) -> tuple[str, int]:
        """What identifies the call in all ranks."""
        return self.group, self.number
