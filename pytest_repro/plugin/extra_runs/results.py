"""What runs of a test have shown that are not among those compared: what they cost, how they scatter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_repro.core.plan.plan import Plan
    from pytest_repro.plugin.config.settings import Settings
    from pytest_repro.plugin.run.extra_results import ExtraResults

NOTE_KEYS = ("cost_note", "sweep_note", "noise_note", "unmade_note", "level_note")
"""Keys of a row that are for the terminal alone."""


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
