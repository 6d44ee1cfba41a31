"""One value, or one outcome, that differs between two runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pytest_repro.core.compare.difference import Difference

Problem = Literal["values", "kind", "missing", "outcome"]


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One value, or one outcome, that differs between the reference run and another.

    Attributes:
        name: What is shown: ``loss[3]``; ``outcome`` for an outcome.
        series: The recorded name without step and path, to gather a series by.
        step: Place in the series, from 0.
        path: The way inside the recorded value: ``.head[2].weight``.
        axis: What was varied.
        value: The setting of the other run.
        problem: ``values`` differ, ``kind`` (dtype or shape) differs, ``missing`` in one run,
            or the ``outcome`` differs.
        kind: dtype and shape in the reference run, or in the other where only that has it.
        other_kind: dtype and shape in the other run; ``""`` where it is missing there.
        difference: How far apart; None where that cannot be said.
        detail: A word more where numbers cannot say it: in which run it is missing, which
            outcomes, why no distance is known.
        repeat_of: Of two runs that differ away from the reference, though nothing is varied between
            them: their axis and value.
    """

    name: str
    series: str
    step: int
    path: str
    axis: str
    value: object
    problem: Problem
    kind: str = ""
    other_kind: str = ""
    difference: Difference | None = None
    detail: str = ""
    repeat_of: tuple[str, object] | None = None
