"""``repro_control``: one run more with another seed, to see a test that does not depend on it.

It comes after the rehearsals, so that they are as without it, and before the last run, which is
pytest's own and ends the test. What it leaves behind on the way meets that one alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pytest

from pytest_repro.core.compare.unused import SeedUnusedWarning
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.plan.plan import MAX_SEED
from pytest_repro.core.runs.seed_check import Control
from pytest_repro.plugin import peers
from pytest_repro.plugin.run.warnings import warn_at
from pytest_repro.reports.session.seed_check import UNUSED, outcome, unused

if TYPE_CHECKING:
    from pytest_repro.plugin.run.item_runner import Act


def other(seed: int) -> int:
    """The seed of the control run."""
    return (seed + 1) % (MAX_SEED + 1)


def controlled(act: Act, rehearsed: Callable[[Act], Sequence[pytest.TestReport]]) -> Control | None:
    """Runs the test of *act* with another seed; None where there is nothing to compare that with.

    Args:
        act: Its rehearsals are done.
        rehearsed: Makes a run.
    """
    reference = act.trial.reference
    if reference is None or reference[0].outcome == "skipped":
        return None
    seed = other(act.plan.seed)
    act.turn(act.trial.last, seed=seed)
    run = act.finished(rehearsed(act))
    alike = (run.outcome, run.error_type) == (reference[0].outcome, reference[0].error_type)
    same = alike and act.recording.same_as(reference[1])
    word, observed = ("unchanged" if same else "changed"), bool(len(act.recording) or len(reference[1]))
    return Control(seed, word, act.asked, observed, reference[0], run)  # type: ignore[arg-type]


def note_of(item: pytest.Item, control: Control, verdict: Verdict) -> str:
    """Warns where the seed changes nothing; gives what the session tells of that, in few words.

    Of a test that was taken along by an audit, nobody has said that it is to be random; of one
    whose examples are derandomized, somebody has said that it is not.

    Raises:
        pytest.fail.Exception: Such warnings are errors.
    """
    unasked = (verdict.plan.audit and not control.drew) or peers.fixed(item)
    if verdict.word != "reproduced" or control.word == "changed" or not control.observed or unasked:
        return outcome(control)
    told = unused(control, verdict.plan.seed)
    with warnings.catch_warnings(record=True) as heard:  # as the filters of the test have it
        warn_at(item, SeedUnusedWarning, told)
    if heard:
        warn_at(item, SeedUnusedWarning, told)
    return UNUSED if heard else ""
