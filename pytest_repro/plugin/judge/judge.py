"""What becomes of a test whose last run has ended: its verdict, and whether that fails it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_repro.core.compare.verdict import WITHOUT_BASELINE, Verdict
from pytest_repro.core.runs.run import SUBTEST_ERROR, Run
from pytest_repro.plugin.exceptions import make_extra_runs_failure, make_failure, raise_if_not_compared
from pytest_repro.plugin.extra_runs.seed_check import warn_if_seed_unused

if TYPE_CHECKING:
    from pytest_repro.plugin.run.item_runner import ItemRunner


def judge_item(runner: ItemRunner, run: Run, unobserved_locals: tuple[str, ...]) -> BaseException | None:
    """Puts the verdict into *runner*; gives what is to be raised where it fails the test.

    Args:
        runner: All its runs are done.
        run: The last one.
        unobserved_locals: Local variables that could not be observed in it.
    """
    __tracebackhide__ = True
    runner.verdict = verdict = _compute_verdict(runner, run, unobserved_locals)
    if verdict.outcome == "diverged" and verdict.baseline is None:  # else the runs agree
        runner.verdict = verdict = runner.diagnose(runner.tracer.add_divergence(verdict))
    word, item = verdict.outcome, runner.item
    # Nothing observed is no failure that an xfail was waiting for: it would hide an XPASS.
    lenient = runner.plan.audit or item.get_closest_marker("xfail") is not None
    if word in ("diverged", *WITHOUT_BASELINE) or (word == "unobserved" and not lenient):
        return make_failure(item, verdict)
    if run.outcome == "passed":
        raise_if_not_compared(item, verdict)
    if runner.seed_check is not None:
        runner.seed_check_note = warn_if_seed_unused(item, runner.seed_check, verdict)
    if runner.extra_results.noise:
        from pytest_repro.plugin.extra_runs.noise import warn_of_constant_predictions

        warn_of_constant_predictions(runner)
    if runner.extra_results.error and run.outcome == "passed":
        return make_extra_runs_failure(item, runner.extra_results.error)
    if runner.extra_results.sweep is None or not (run.outcome == "passed" or run.error_type == SUBTEST_ERROR):
        return None
    from pytest_repro.plugin.judge.sweep_failure import find_sweep_failure

    return find_sweep_failure(runner, runner.extra_results.sweep)


def _compute_verdict(runner: ItemRunner, run: Run, unobserved_locals: tuple[str, ...]) -> Verdict:
    verdict = runner.trial.compute_verdict((run, runner.final_recording))
    verdict = replace(verdict, unobserved_locals=unobserved_locals or verdict.unobserved_locals)
    if runner.plan.baseline:
        from pytest_repro.plugin.judge import baseline

        return baseline.judge_baseline(runner.item, verdict, runner.trial, runner.final_recording)
    return verdict
