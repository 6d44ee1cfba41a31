"""Compares a test with its golden file, or makes an entry to store.

Tests are compared where they run. New entries travel with the tear-down's report to the main
session: one process writes, however many workers there are, and a crash loses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_repro.core.compare.mismatch import Mismatch, count_steps
from pytest_repro.core.compare.verdict import Verdict, VerdictOutcome
from pytest_repro.core.golden import Entry, Golden, diff_environments, format_golden, rank_entries
from pytest_repro.engine.golden import find_missing_values, get_values_path, load_golden
from pytest_repro.engine.golden.compare import (
    collect_arrays,
    collect_values,
    compare_with_golden,
    find_differing_keys,
    make_entry,
)
from pytest_repro.engine.runs.recording import RecordingBase
from pytest_repro.engine.runs.trial import Trial
from pytest_repro.engine.sweep.stored_sweep import attach_sweep
from pytest_repro.plugin.judge.current_test import (
    CurrentTest,
    format_names,
    make_current_test,
    select_counted,
)
from pytest_repro.plugin.judge.stored_sweep import judge_sweep, needs_sweep_update
from pytest_repro.plugin.stash import SETTINGS
from pytest_repro.values.safetensors_file import encode_arrays, open_safetensors

if TYPE_CHECKING:
    from pytest_repro.plugin.run.item_run import ExtraResults

REPORT_ATTRIBUTE = "repro_golden"
"""Key of a report's attribute: the entry to store, as plain data."""

_CACHE = pytest.StashKey[tuple[object, Golden]]()
_PENDING_ENTRY = pytest.StashKey[dict[str, Any]]()


def judge_baseline(
    item: pytest.Item,
    verdict: Verdict,
    trial: Trial,
    last_recording: RecordingBase,
    extra_results: ExtraResults,
) -> Verdict:
    """*verdict*, whose runs agree, with the result of comparing it with the golden file.

    Args:
        item: The test, with the switches as it found them.
        verdict: Of its runs.
        trial: Its runs.
        last_recording: What the last run recorded.
        extra_results: What its extra runs show.
    """
    item.stash[_PENDING_ENTRY] = {}
    if verdict.outcome not in (None, "reproduced"):
        return verdict
    recorded = trial.reference[1] if trial.reference is not None else last_recording
    if not len(recorded):
        return replace(verdict, outcome="unobserved")
    here = make_current_test(item, verdict.plan, collect_values(recorded, trial.store), extra_results)
    try:
        golden = _load_cached(item.config, here.path)
        keys = rank_entries(golden, here.nodeid, here.environment_key, here.environment)
        found = _judge_entries(here, verdict, golden, keys)
    except (OSError, ValueError) as error:
        reason = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
        return replace(verdict, outcome="no-baseline", baseline=replace(here.baseline, read_error=reason))
    settings = item.config.stash[SETTINGS]
    most = settings.baseline_kb * 2**10
    if not settings.update or (
        found.outcome == "reproduced" and not _needs_update(here, found, golden, keys[0], most)
    ):
        return found
    item.stash[_PENDING_ENTRY] = _encode_update(here, most)
    return replace(verdict, baseline=here.baseline)


def _load_cached(config: pytest.Config, path: Path) -> Golden:
    """The golden file at *path*, read once for all tests of a module while it does not change."""
    try:
        found = path.lstat()
    except OSError:
        return load_golden(path)
    mark = path, found.st_ino, found.st_size, found.st_mtime_ns
    if config.stash.get(_CACHE, (None,))[0] != mark:
        config.stash[_CACHE] = mark, load_golden(path)
    return config.stash[_CACHE][1]


def _judge_entries(current: CurrentTest, verdict: Verdict, golden: Golden, keys: Sequence[str]) -> Verdict:
    """The verdict given the entry of this environment; without one, given any entry that agrees.

    Where a sweep is stored, it judges.
    """
    if (swept := judge_sweep(current, verdict, golden, keys, _compare_values)) is not None:
        return swept
    first = None
    for key in keys:
        found = _judge_against(current, verdict, golden, key)
        first = first or found
        if found.outcome == "reproduced" or not (found.baseline and found.baseline.environment_diff):
            return found
    return first or replace(verdict, outcome="no-baseline", baseline=current.baseline)


def _judge_against(current: CurrentTest, verdict: Verdict, golden: Golden, stored_key: str) -> Verdict:
    """The verdict given the entry of the environment *stored_key*."""
    current, entry = select_counted(current, verdict, golden.tests[current.nodeid][stored_key])
    base = replace(
        current.baseline,
        stored_key=stored_key,
        environment_diff=diff_environments(current.environment, golden.environments[stored_key]),
    )
    apart = list(find_differing_keys(entry, current.values))
    if base.environment_diff:
        base = replace(base, differing=tuple(format_names(apart, entry, current)))
    if apart and base.environment_diff and verdict.plan.tolerance is None:
        return replace(verdict, outcome="foreign-baseline", baseline=base)
    found = _compare_values(current, verdict, entry, stored_key)
    unexplained = [
        each.name
        for each in found
        if base.environment_diff and each.problem == "values" and not each.difference
    ]
    mismatches = tuple(each for each in found if each.name not in unexplained)
    series = count_steps(current.values) if mismatches else {}
    word: VerdictOutcome = "diverged" if mismatches else "foreign-baseline" if unexplained else "reproduced"
    base = replace(base, uncompared=tuple(unexplained))
    return replace(verdict, outcome=word, mismatches=mismatches, steps=series, baseline=base)


def _compare_values(current: CurrentTest, verdict: Verdict, entry: Entry, stored_key: str) -> list[Mismatch]:
    beside, close = get_values_path(current.path), verdict.plan.tolerance_for()
    try:
        with open_safetensors(beside) as tensors:
            return compare_with_golden(entry, current.values, verdict.runs[0], stored_key, close, tensors)
    except ValueError as error:
        raise ValueError(f"has values that cannot be read: {beside.name} {error}") from None


def _needs_update(
    current: CurrentTest, verdict: Verdict, golden: Golden, stored_key: str, max_bytes: int
) -> bool:
    """Whether an entry for this environment, or one of its values, must still be stored.

    An entry whose values are close but not equal stays: otherwise it would drift step by step.
    """
    entry = golden.tests[current.nodeid][stored_key]
    if diff_environments(current.environment, golden.environments[stored_key]):
        return True
    if needs_sweep_update(current, verdict, entry):
        return True
    if any(find_differing_keys(entry, current.values)):
        return False
    return bool(
        find_missing_values(get_values_path(current.path), collect_arrays(current.values, max_bytes).keys())
    )


def _encode_update(current: CurrentTest, max_bytes: int) -> dict[str, Any]:
    golden = Golden(
        {current.environment_key: current.environment},
        {current.nodeid: {current.environment_key: attach_sweep(make_entry(current.values), current.swept)}},
    )
    return {
        "path": str(current.path),
        "text": format_golden(golden),
        "values": encode_arrays(collect_arrays(current.values, max_bytes)),
    }


def attach_entry(item: pytest.Item, report: pytest.TestReport) -> None:
    """Attaches what is to be stored of *item* to the tear-down's report."""
    if pending := item.stash.get(_PENDING_ENTRY, {}):
        setattr(report, REPORT_ATTRIBUTE, pending)
        item.stash[_PENDING_ENTRY] = {}
