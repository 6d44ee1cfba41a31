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
        name: Displayed name: ``loss[3]``; ``outcome`` for an outcome.
        series: Recorded name, without step and path.
        step: Place in the series, from 0.
        path: Path inside the recorded value: ``.head[2].weight``.
        axis: What was varied.
        value: Value of the other run on that axis.
        problem: ``values`` differ, ``kind`` (dtype or shape) differs, the value is ``missing`` in one run, or
            the ``outcome`` differs.
        kind: dtype and shape in the reference run, or in the other run if only that one has the value.
        other_kind: dtype and shape in the other run; ``""`` if the value is missing there.
        difference: How far apart the values are; None if unknown.
        detail: What numbers cannot show: which run lacks the value, both outcomes, why no distance is known.
        repeat_of: Axis and value of two runs that differ although nothing is varied between them; None if one
            of the runs is the reference.
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
