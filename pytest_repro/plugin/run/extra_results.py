"""What runs that are not compared have shown of a test: its cost, its seeds, its noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pytest_repro.engine.runs.recording import Recording

if TYPE_CHECKING:
    from pytest_repro.core.runs.run import Outcome
    from pytest_repro.core.runs.run_summary import CostTimings
    from pytest_repro.engine.sweep.noise import Noise
    from pytest_repro.engine.sweep.sweep import SweepResult


class ExtraResults:
    """Of one test.

    Args:
        make_recording: Makes an empty recording for a run that is not compared.

    Attributes:
        make_recording: The same; replaced while such runs are to be recorded in another way.
        cost: What the test takes with determinism controls and without, where that was asked.
        budgets: What the test allows its headline values over seeds, by name.
        sweep: The test over seeds, where that was asked.
        error: Why what these runs say together could not be told, with where it broke.
        noise: What each variant of the noise matrix has shown, where that was asked.
        reference_outcome: What the run has done that others are compared with: one that fails has no noise and no cost.
    """

    def __init__(self, make_recording: Callable[[], Recording]) -> None:
        self.make_recording = make_recording
        self.cost: CostTimings | None = None
        self.budgets: dict[str, dict[str, float]] = {}
        self.sweep: SweepResult | None = None
        self.noise: dict[str, Noise] = {}
        self.error = ""
        self.reference_outcome: Outcome = "passed"

    def add_budget(self, name: str, rules: dict[str, float]) -> None:
        """Adds to what the headline *name* is allowed.

        Raises:
            ValueError: A rule was another number before, in this run or with another seed.
        """
        known = self.budgets.setdefault(name, {})
        for rule, allowed in rules.items():
            if known.setdefault(rule, allowed) != allowed:
                given = f"{rule}={known[rule]:g} first and {rule}={allowed:g} now"
                raise ValueError(f"repro.budget({name!r}): {given}: one number holds for all seeds")
