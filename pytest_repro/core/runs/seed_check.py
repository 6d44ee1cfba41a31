"""What a run with another seed has shown, beside the runs that are compared."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pytest_repro.core.runs.run import Run

SeedCheckOutcome = Literal["changed", "unchanged"]


class SeedCheck(NamedTuple):
    """A run with another seed, compared with the reference run.

    Attributes:
        seed: The other one.
        outcome: Whether anything at all changed: an outcome, or a bit of what was observed.
        drew_random: Whether a generator was asked that is seeded, in this run or an earlier one.
        has_observations: Whether there was anything to compare but the outcome.
        reference: The run it is compared with.
        run: The run itself.
    """

    seed: int
    outcome: SeedCheckOutcome
    drew_random: bool
    has_observations: bool
    reference: Run
    run: Run
