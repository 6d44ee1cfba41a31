"""What a run with another seed has shown, beside the runs that are compared."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pytest_repro.core.runs.run import Run

Word = Literal["changed", "unchanged"]


class Control(NamedTuple):
    """A run with another seed, compared with the reference run.

    Attributes:
        seed: The other one.
        word: Whether anything at all changed: an outcome, or a bit of what was observed.
        drew: Whether a generator was asked that is seeded, in this run or an earlier one.
        observed: Whether there was anything to compare but the outcome.
        reference: The run it is compared with.
        run: The run itself.
    """

    seed: int
    word: Word
    drew: bool
    observed: bool
    reference: Run
    run: Run
