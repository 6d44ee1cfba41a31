"""``repro_control``: one run more with another seed, to see a test that does not depend on it.

It comes after the rehearsals, so that they are as without it, and before the last run, which is
pytest's own and ends the test. What it leaves behind on the way meets that one alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pytest

from pytest_repro.core.compare.verdict import SeedUnusedWarning, Verdict
from pytest_repro.core.plan.plan import MAX_SEED
from pytest_repro.core.runs.run_summary import SeedCheck
from pytest_repro.plugin import peers
from pytest_repro.plugin.run.warnings import warn_at_item
from pytest_repro.reports.session.seed_check import UNUSED_NOTE, describe_outcome, format_unused_warning

if TYPE_CHECKING:
    from pytest_repro.plugin.run.item_runner import ItemRunner


def other_seed(seed: int) -> int:
    """The seed of the control run."""
    return (seed + 1) % (MAX_SEED + 1)


def run_with_other_seed(
    runner: ItemRunner, rehearse: Callable[[ItemRunner], Sequence[pytest.TestReport]]
) -> SeedCheck | None:
    """Runs the test of *runner* with another seed; None where there is nothing to compare that with.

    Args:
        runner: Its rehearsals are done.
        rehearse: Makes a run.
    """
    reference = runner.trial.reference
    if reference is None or reference[0].outcome == "skipped":
        return None
    seed = other_seed(runner.plan.seed)
    runner.prepare_run(runner.trial.last_cell, seed=seed)
    run = runner.finish_run(rehearse(runner))
    alike = (run.outcome, run.error_type) == (reference[0].outcome, reference[0].error_type)
    same = alike and runner.recording.equals(reference[1])
    word, observed = ("unchanged" if same else "changed"), bool(len(runner.recording) or len(reference[1]))
    return SeedCheck(seed, word, runner.generators_used, observed, reference[0], run)  # type: ignore[arg-type]


def warn_if_seed_unused(item: pytest.Item, seed_check: SeedCheck, verdict: Verdict) -> str:
    """Warns where the seed changes nothing; gives what the session tells of that, in few words.

    Of a test that was taken along by an audit, nobody has said that it is to be random; of one
    whose examples are derandomized, somebody has said that it is not.

    Raises:
        pytest.fail.Exception: Such warnings are errors.
    """
    unasked = (verdict.plan.audit and not seed_check.drew_random) or peers.has_own_seed(item)
    if (
        verdict.outcome != "reproduced"
        or seed_check.outcome == "changed"
        or not seed_check.has_observations
        or unasked
    ):
        return describe_outcome(seed_check)
    told = format_unused_warning(seed_check, verdict.plan.seed)
    with warnings.catch_warnings(record=True) as heard:  # as the filters of the test have it
        warn_at_item(item, SeedUnusedWarning, told)
    if heard:
        warn_at_item(item, SeedUnusedWarning, told)
    return UNUSED_NOTE if heard else ""
