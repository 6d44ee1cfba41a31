"""``repro_control``: one run with another seed, to find a test that does not depend on its seed."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

from pytest_repro.core.compare.verdict import SeedUnusedWarning
from pytest_repro.core.plan.arguments import MAX_SEED
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.run import Run, SeedCheck, SeedCheckOutcome
from pytest_repro.plugin import peers
from pytest_repro.plugin.extra_runs import ExtraRun
from pytest_repro.plugin.run.warnings import warn_at_item
from pytest_repro.reports.summary import COMPARED_VERDICTS

if TYPE_CHECKING:
    from pytest_repro.plugin.config.settings import Settings
    from pytest_repro.plugin.extra_runs._runner import ExtraRunner
    from pytest_repro.plugin.run.item_runner import ItemRunner

_UNUSED_NOTE = "does not depend on the seed: cached?"
_OUTCOME_VERBS = {"passed": "passes", "failed": "fails", "skipped": "is skipped"}


class SeedCheckRun(ExtraRun):
    """Runs a test once more with another seed, and warns where nothing at all changes."""

    order = 10
    note_key, label = "control_note", "seed check"

    def get_request(self, plan: Plan, settings: Settings) -> str:
        return "repro_control" if settings.control else ""

    def make(self, runner: ExtraRunner) -> SeedCheck | None:
        reference = runner.reference
        if reference is None or reference.run.outcome == "skipped":
            return None
        seed = choose_other_seed(runner.plan.seed)
        run, recording = runner.run_compared_size(f"seed check with seed {seed}", seed)
        is_unchanged = _have_same_outcome(run, reference.run) and recording.equals(reference.recording)
        has_observations = bool(len(recording) or len(reference.recording))
        outcome: SeedCheckOutcome = "unchanged" if is_unchanged else "changed"
        return SeedCheck(seed, outcome, runner.generators_used, has_observations, reference.run, run)

    def judge(self, runner: ItemRunner, run: Run, result: SeedCheck) -> BaseException | None:
        """Warns where the seed changes nothing.

        Not for a test that an audit took along, which nobody said is random, and not for one whose
        examples are derandomized, which somebody said is not.

        Raises:
            pytest.fail.Exception: Such warnings are errors.
        """
        assert runner.verdict is not None
        audited = runner.plan.audit and not result.drew_random
        if (
            runner.verdict.outcome != "reproduced"
            or result.outcome == "changed"
            or not result.has_observations
            or audited
            or peers.has_own_seed(runner.item)
        ):
            runner.extra_results.seed_check_note = _describe_outcome(result)
        elif _warn(runner.item, _format_unused_warning(result, runner.plan.seed)):
            runner.extra_results.seed_check_note = _UNUSED_NOTE
        return None

    def make_row(self, runner: ItemRunner, result: SeedCheck) -> Mapping[str, Any]:
        row = {"control_note": runner.extra_results.seed_check_note}
        if runner.verdict is not None and runner.verdict.outcome in COMPARED_VERDICTS:
            row["control"] = result.outcome
        return row

    def format_interference(self, result: SeedCheck) -> tuple[str, str]:
        text = (
            f"the seed check ran with seed {result.seed} before the last run: -o repro_control=false shows "
            "whether state that it left behind made the difference"
        )
        return "seed check", text


def choose_other_seed(seed: int) -> int:
    """The seed of the extra run."""
    return (seed + 1) % (MAX_SEED + 1)


def _have_same_outcome(run: Run, reference: Run) -> bool:
    return (run.outcome, run.error_type) == (reference.outcome, reference.error_type)


def _warn(item: pytest.Item, text: str) -> bool:
    """Whether the warning filters of the test show the warning."""
    with warnings.catch_warnings(record=True) as shown:
        warn_at_item(item, SeedUnusedWarning, text)
    if shown:
        warn_at_item(item, SeedUnusedWarning, text)
    return bool(shown)


def _describe_outcome(seed_check: SeedCheck) -> str:
    """``fails with seed 1: AssertionError: …``; ``""`` if the outcome is the same."""
    run = seed_check.run
    if _have_same_outcome(run, seed_check.reference):
        return ""
    why = f": {run.error}" if run.error else ""
    return f"{_OUTCOME_VERBS[run.outcome]} with seed {seed_check.seed}{why}"


def _format_unused_warning(seed_check: SeedCheck, seed: int) -> str:
    """The warning that the seed changes nothing; *seed* is that of the other runs."""
    same = f"{_UNUSED_NOTE} Seeds {seed} and {seed_check.seed} give equal results, bit for bit"
    if seed_check.drew_random:
        return (
            f"{same}, although random numbers were drawn. Look for a cache or a file that an earlier run or "
            "a wider fixture keeps, for a generator with its own seed, or record a value that depends on them"
        )
    return (
        f"{same}, and no seeded generator was used. Draw from repro.rng(), or if nothing is meant to be "
        "random: @pytest.mark.filterwarnings('ignore::pytest_repro.SeedUnusedWarning')"
    )


extra_run = SeedCheckRun()
