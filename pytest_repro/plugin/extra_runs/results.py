"""What runs of a test have shown that are not among those compared: what they cost, how they scatter."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pytest_repro.engine.runs.recording import Recording

if TYPE_CHECKING:
    from pytest_repro.core.plan.plan import Plan
    from pytest_repro.core.runs.cost_timings import Timed
    from pytest_repro.core.runs.run import Outcome
    from pytest_repro.engine.sweep.noise import Noise
    from pytest_repro.engine.sweep.sweep import Swept
    from pytest_repro.plugin.config.settings import Settings

NOTES = ("cost_note", "sweep_note", "noise_note", "unmade_note", "level_note")
"""Keys of a row that are for the terminal alone."""


class Beside:
    """Of one test.

    Args:
        recording: Makes an empty recording for a run that is not compared.

    Attributes:
        recording: The same; replaced while such runs are to be recorded in another way.
        timed: What the test takes with determinism controls and without, where that was asked.
        budgets: What the test allows its headline values over seeds, by name.
        swept: The test over seeds, where that was asked.
        broken: Why what these runs say together could not be told, with where it broke.
        noise: What each variant of the noise matrix has shown, where that was asked.
        first: What the run has done that others are compared with: one that fails has no noise and no cost.
    """

    def __init__(self, recording: Callable[[], Recording]) -> None:
        self.recording = recording
        self.timed: Timed | None = None
        self.budgets: dict[str, dict[str, float]] = {}
        self.swept: Swept | None = None
        self.noise: dict[str, Noise] = {}
        self.broken = ""
        self.first: Outcome = "passed"

    def allow(self, name: str, rules: dict[str, float]) -> None:
        """Adds to what the headline *name* is allowed.

        Raises:
            ValueError: A rule was another number before, in this run or with another seed.
        """
        known = self.budgets.setdefault(name, {})
        for rule, allowed in rules.items():
            if known.setdefault(rule, allowed) != allowed:
                given = f"{rule}={known[rule]:g} first and {rule}={allowed:g} now"
                raise ValueError(f"repro.budget({name!r}): {given}: one number holds for all seeds")


def unmade(plan: Plan, settings: Settings, beside: Beside) -> str:
    """What a test of *plan* was asked for, and why it was not done; ``""`` where everything was."""
    asked = ["seed sweep"] * bool(plan.seeds) + ["its budgets"] * bool(plan.seeds and beside.budgets)
    asked += ["--repro-cost"] * settings.cost + ["--repro-noise"] * bool(settings.noise)
    asked += ["repro_control"] * bool(settings.control and plan.ranks)
    if asked and (settings.replay or plan.ranks):
        why = "not with --repro-replay: the log feeds each run" if settings.replay else "not of runs in ranks"
        return f"{', '.join(asked)}: {why}"
    timed = ["--repro-cost"] * settings.cost + ["--repro-noise"] * bool(settings.noise)
    if timed and beside.first == "failed":
        return f"{', '.join(timed)}: not of a test that fails"
    return "budgets: not with --repro-seeds=0" if beside.budgets and not plan.seeds else ""


def before_the_last(beside: Beside) -> str:
    """Of a test that differs: what runs of *beside* may have had a part in it; ``""`` of none."""
    made = {
        "a seed sweep (--repro-seeds=0 leaves it out)": beside.swept,
        "--repro-noise": beside.noise,
        "--repro-cost": beside.timed,
    }
    asked = [name for name, found in made.items() if found]
    if not asked:
        return ""
    return (
        f"runs that are not compared came before the last one, for {' and '.join(asked)}: "
        "without, it shows whether what they left behind has made the difference"
    )


def told(beside: Beside) -> dict[str, Any]:
    """What a row of the report says of it."""
    row: dict[str, Any] = {}
    if beside.timed is not None:
        from pytest_repro.reports.session.cost import row_of

        row |= row_of(beside.timed)
    if beside.swept is not None:
        from pytest_repro.reports.session import sweep

        row |= sweep.row_of(beside.swept)
    if beside.noise:
        from pytest_repro.reports.session import noise

        row |= noise.row_of(beside.noise)
    return row
