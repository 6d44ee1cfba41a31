"""``seeds=``: one run of a test for each seed; the reference run counts for its own."""

from __future__ import annotations

from dataclasses import replace

from pytest_repro.core.runs.run_summary import RunSummary
from pytest_repro.engine.runs.recording import Recording
from pytest_repro.engine.sweep.run_summary import summarize_run
from pytest_repro.engine.sweep.sweep import SweepResult, summarize_sweep
from pytest_repro.plugin.extra_runs.extra_runs import ExtraRunner
from pytest_repro.plugin.run.outcome import classify_run, locate_failure


def run_sweep(extra_runner: ExtraRunner) -> SweepResult:
    """Runs a test with each seed of its sweep, else as ever."""
    act, found = extra_runner.runner, list[RunSummary]()
    asked = act.plan.seeds or ()
    for number, seed in enumerate(asked, 1):
        if extra_runner.should_stop:
            break
        known = _summarize_reference(extra_runner) if seed == act.plan.seed else None
        doing = f"seed {seed}, {number} of {len(asked)}"
        found.append(known or extra_runner.run_and_summarize(doing, seed, act.plan.deterministic))
    return summarize_sweep(asked, found, act.extra_results.budgets)


def _summarize_reference(extra_runner: ExtraRunner) -> RunSummary | None:
    trial, seed = extra_runner.runner.trial, extra_runner.runner.plan.seed
    run, recording = trial.reference or (None, None)
    if run is None or not isinstance(recording, Recording):
        return None
    found = summarize_run(seed, run, run.seconds, recording, trial.store)
    return replace(found, outcome=classify_run(run), location=locate_failure(run))
