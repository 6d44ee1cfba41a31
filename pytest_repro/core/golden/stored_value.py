"""What a golden file or a JSON report stores of one observation: enough to compare it elsewhere."""

from __future__ import annotations

from typing import NamedTuple

from pytest_repro.core.compare.statistics import Statistics
from pytest_repro.core.runs.observation import Key

Number = int | float | complex

MAX_VALUES = 64
"""Most elements of an array that are stored as values."""


class StoredValue(NamedTuple):
    """What is stored of one observation.

    Attributes:
        name: The recorded name in a golden file; the displayed one in a report: ``loss[3]``,
            ``model.head[2].weight``.
        kind: dtype and shape, ``"float32[4, 8]"``.
        digest: xxh3-128 of kind and bytes, 32 hexadecimal digits; also the name of the array in the file
            beside a golden file.
        values: Elements in C order, in a report of at most :data:`MAX_VALUES` numbers.
        text: Value that is no number, shortened; only in a report.
        statistics: Of an array of numbers; None if it has no elements, or if *values* are known.
        step: Place in the series, from 0; only in a golden file.
        path: Path inside the recorded value; only in a golden file.
    """

    name: str
    kind: str
    digest: str
    values: tuple[Number, ...] | None = None
    text: str | None = None
    statistics: Statistics | None = None
    step: int = 0
    path: str = ""

    @property
    def key(self) -> Key:
        """Key of the observation, in a golden file."""
        return self.name, self.step, self.path
