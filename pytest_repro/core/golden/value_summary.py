"""What a report tells of a value: enough to compare it on another machine, and no more."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_repro.core.compare.statistics import Statistics

Number = int | float | complex

MAX_VALUES = 64
"""Elements up to which the values themselves are told."""


@dataclass(frozen=True, slots=True)
class ValueSummary:
    """What a report tells of one observation of the reference run.

    Attributes:
        name: As it is shown: ``loss[3]``, ``model.head[2].weight``.
        kind: dtype and shape, ``"float32[4, 8]"``.
        digest: Of kind and bytes, 32 hexadecimal digits: equal where the values are, on every machine.
        values: The elements in C order, where they are numbers and at most :data:`MAX_VALUES`.
        text: The value where it is no number, shortened.
        statistics: Of an array of more numbers, where they were kept.
    """

    name: str
    kind: str
    digest: str
    values: tuple[Number, ...] | None = None
    text: str | None = None
    statistics: Statistics | None = None
