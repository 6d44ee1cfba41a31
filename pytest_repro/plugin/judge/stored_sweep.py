"""Compares the seed sweep of a test with the one in its golden file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from pytest_repro.core.compare.mismatch import Mismatch, count_steps
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.golden import Entry, Golden, diff_environments
from pytest_repro.engine.golden.compare import find_differing_keys
from pytest_repro.engine.sweep.stored_sweep import compare_with_stored_sweep, has_sweep
from pytest_repro.plugin.judge.current_test import CurrentTest, format_names, select_counted

CompareFunction = Callable[[CurrentTest, Verdict, Entry, str], list[Mismatch]]


def judge_sweep(
    current: CurrentTest,
    verdict: Verdict,
    golden: Golden,
    keys: Sequence[str],
    compare_values: CompareFunction,
) -> Verdict | None:
    """The verdict given the stored sweep of the environment most like this; None if nothing is to compare.

    More environments would be more chances to miss a shift. Values of the reference run that differ count
    only with a tolerance; without one the sweep judges, and the verdict names those that it leaves out. A
    value that is missing, or of another kind, always counts.

    Args:
        current: The test.
        verdict: Of its runs, which agree.
        golden: The golden file.
        keys: Keys of the environments that have an entry, the most like this one first.
        compare_values: Finds the mismatches with an entry.
    """
    swept, entries = current.swept, golden.tests.get(current.nodeid, {})
    if swept is None or not keys:
        return None
    stored_key = next((key for key in keys if has_sweep(entries[key])), None)
    if stored_key is None:
        if not swept.headlines:
            return None
        return replace(verdict, outcome="no-baseline", baseline=replace(current.baseline, lacks_sweep=True))
    return _judge_against(current, verdict, golden, stored_key, compare_values)


def _judge_against(
    current: CurrentTest, verdict: Verdict, golden: Golden, stored_key: str, compare_values: CompareFunction
) -> Verdict:
    """The verdict given the sweep of the environment *stored_key*."""
    assert current.swept is not None
    counted, entry = select_counted(current, verdict, golden.tests[current.nodeid][stored_key])
    unlike = diff_environments(current.environment, golden.environments[stored_key])
    apart = list(find_differing_keys(entry, counted.values))
    found = compare_values(counted, verdict, entry, stored_key) if apart else []
    mismatches = [each for each in found if _counts(each, verdict, bool(unlike))]
    result = compare_with_stored_sweep(entry, stored_key, current.swept, current.budgets)
    known = {(each.series, each.step, each.path) for each in mismatches}
    judged = known.union(row.key for row in entry if row.sweep)
    mismatches += [each for each in result.mismatches if (each.series, each.step, each.path) not in known]
    baseline = replace(
        current.baseline,
        stored_key=stored_key,
        environment_diff=unlike,
        differing=tuple(format_names([key for key in apart if key not in judged], entry, counted)),
        uncompared=tuple(result.uncompared),
        sweep=result.comparisons,
    )
    return replace(
        verdict,
        outcome="diverged" if mismatches else "reproduced",
        mismatches=tuple(mismatches),
        steps=count_steps(counted.values) if mismatches else {},
        baseline=baseline,
    )


def _counts(mismatch: Mismatch, verdict: Verdict, is_foreign: bool) -> bool:
    if mismatch.problem != "values":
        return True
    return verdict.plan.tolerance is not None and (mismatch.difference is not None or not is_foreign)


def needs_sweep_update(current: CurrentTest, verdict: Verdict, entry: Entry) -> bool:
    """Whether the sweep must still be stored in *entry*, or is better than the one there.

    One that is neither better nor worse stays: otherwise it would drift step by step.
    """
    if current.swept is None or verdict.baseline is None:
        return False
    improved = any(each.improved for each in verdict.baseline.sweep.values())
    return improved or (bool(current.swept.headlines) and not has_sweep(entry))
