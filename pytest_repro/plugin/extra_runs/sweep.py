"""``seeds=``: one run of a test for each seed; the reference run counts for its own."""

from __future__ import annotations

from dataclasses import replace

from pytest_repro.core.runs.run_summary import Gathered
from pytest_repro.engine.runs.recording import Recording
from pytest_repro.engine.sweep.run_summary import gathered
from pytest_repro.engine.sweep.sweep import Swept
from pytest_repro.engine.sweep.sweep import swept as summed
from pytest_repro.plugin.extra_runs.extra_runs import Stage
from pytest_repro.plugin.run.outcome import place_of, shown


def swept(stage: Stage) -> Swept:
    """Runs a test with each seed of its sweep, else as ever."""
    act, found = stage.act, list[Gathered]()
    asked = act.plan.seeds or ()
    for number, seed in enumerate(asked, 1):
        if stage.stops:
            break
        known = _reference(stage) if seed == act.plan.seed else None
        doing = f"seed {seed}, {number} of {len(asked)}"
        found.append(known or stage.shown(doing, seed, act.plan.deterministic))
    return summed(asked, found, act.beside.budgets)


def _reference(stage: Stage) -> Gathered | None:
    trial, seed = stage.act.trial, stage.act.plan.seed
    run, recording = trial.reference or (None, None)
    if run is None or not isinstance(recording, Recording):
        return None
    found = gathered(seed, run, run.seconds, recording, trial.shelf)
    return replace(found, outcome=shown(run), place=place_of(run))
