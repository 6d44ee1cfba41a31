"""What runs of a test have shown that are not among those compared: what they cost, how they scatter."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pytest_repro.engine.runs.recording import Recording

if TYPE_CHECKING:
    from pytest_repro.core.plan.plan import Plan
    from pytest_repro.core.runs.cost_timings import CostTimings
    from pytest_repro.core.runs.run import Outcome
    from pytest_repro.engine.sweep.noise import Noise
    from pytest_repro.engine.sweep.sweep import SweepResult
    from pytest_repro.plugin.config.settings import Settings

NOTE_KEYS = ("cost_note", "sweep_note", "noise_note", "unmade_note", "level_note")
"""Keys of a row that are for the terminal alone."""


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


def describe_omitted_runs(plan: Plan, settings: Settings, results: ExtraResults) -> str:
    """What a test of *plan* was asked for, and why it was not done; ``""`` where everything was."""
    asked = ["seed sweep"] * bool(plan.seeds) + ["its budgets"] * bool(plan.seeds and results.budgets)
    asked += ["--repro-cost"] * settings.cost + ["--repro-noise"] * bool(settings.noise)
    asked += ["repro_control"] * bool(settings.control and plan.ranks)
    if asked and (settings.replay or plan.ranks):
        why = "not with --repro-replay: the log feeds each run" if settings.replay else "not of runs in ranks"
        return f"{', '.join(asked)}: {why}"
    timed = ["--repro-cost"] * settings.cost + ["--repro-noise"] * bool(settings.noise)
    if timed and results.reference_outcome == "failed":
        return f"{', '.join(timed)}: not of a test that fails"
    return "budgets: not with --repro-seeds=0" if results.budgets and not plan.seeds else ""


def describe_possible_side_effects(results: ExtraResults) -> str:
    """Of a test that differs: what runs of *results* may have had a part in it; ``""`` of none."""
    made = {
        "a seed sweep (--repro-seeds=0 leaves it out)": results.sweep,
        "--repro-noise": results.noise,
        "--repro-cost": results.cost,
    }
    asked = [name for name, found in made.items() if found]
    if not asked:
        return ""
    return (
        f"runs that are not compared came before the last one, for {' and '.join(asked)}: "
        "without, it shows whether what they left behind has made the difference"
    )


def extra_results_to_row(results: ExtraResults) -> dict[str, Any]:
    """What a row of the report says of it."""
    row: dict[str, Any] = {}
    if results.cost is not None:
        from pytest_repro.reports.session.cost import cost_to_row

        row |= cost_to_row(results.cost)
    if results.sweep is not None:
        from pytest_repro.reports.session import sweep

        row |= sweep.sweep_to_row(results.sweep)
    if results.noise:
        from pytest_repro.reports.session import noise

        row |= noise.noise_to_row(results.noise)
    return row
