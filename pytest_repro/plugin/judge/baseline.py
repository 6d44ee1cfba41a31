"""Compares a test with its golden file, or makes an entry to store.

Tests are compared where they run. New entries travel with the tear-down's report to the main
session: one process writes, however many workers there are, and a crash loses nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pytest_repro.adapters import environment_with_flags
from pytest_repro.core.compare.mismatch import Mismatch, count_steps
from pytest_repro.core.compare.verdict import Baseline, Verdict, VerdictOutcome
from pytest_repro.core.golden import (
    Entry,
    Environment,
    Golden,
    diff_environments,
    format_golden,
    rank_entries,
)
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.level import select_at_level
from pytest_repro.core.runs.observation import Key, format_key
from pytest_repro.engine.golden import find_missing_values, get_values_path, load_golden
from pytest_repro.engine.golden.compare import (
    ObservedValue,
    collect_arrays,
    collect_values,
    compare_with_golden,
    find_differing_keys,
    make_entry,
)
from pytest_repro.engine.runs.recording import RecordingBase
from pytest_repro.engine.runs.trial import Trial
from pytest_repro.plugin.replay_line import format_options
from pytest_repro.plugin.stash import GOLDEN_FOLDER, SETTINGS
from pytest_repro.reports.failure.runs import format_vary_options
from pytest_repro.values.hashing import short_digest
from pytest_repro.values.safetensors_file import encode_arrays, open_safetensors

REPORT_ATTRIBUTE = "repro_golden"
"""Key of a report's attribute: the entry to store, as plain data."""

_CACHE = pytest.StashKey[tuple[object, Golden]]()
_PENDING_ENTRY = pytest.StashKey[dict[str, Any]]()


def get_golden_path(module: Path) -> Path:
    """Path of the golden file of the tests in *module*."""
    return module.parent / GOLDEN_FOLDER / f"{module.stem}.json"


class _CurrentTest(NamedTuple):
    """One test in this environment.

    Attributes:
        nodeid: pytest's own.
        path: Of its golden file.
        environment_key: Key of the environment.
        environment: The environment.
        values: The observed values.
        baseline: The part of the verdict that is known so far.
    """

    nodeid: str
    path: Path
    environment_key: str
    environment: Environment
    values: Mapping[Key, ObservedValue]
    baseline: Baseline


def judge_baseline(
    item: pytest.Item, verdict: Verdict, trial: Trial, last_recording: RecordingBase
) -> Verdict:
    """*verdict*, whose runs agree, with the result of comparing it with the golden file.

    Args:
        item: The test, with the switches as it found them.
        verdict: Of its runs.
        trial: Its runs.
        last_recording: What the last run recorded.
    """
    item.stash[_PENDING_ENTRY] = {}
    if verdict.outcome not in (None, "reproduced"):
        return verdict
    recorded = trial.reference[1] if trial.reference is not None else last_recording
    if not len(recorded):
        return replace(verdict, outcome="unobserved")
    here = _make_current_test(item, verdict.plan, collect_values(recorded, trial.store))
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
        found.outcome == "reproduced" and not _needs_update(here, golden, keys[0], most)
    ):
        return found
    item.stash[_PENDING_ENTRY] = _encode_update(here, most)
    return replace(verdict, baseline=here.baseline)


def _make_current_test(item: pytest.Item, plan: Plan, values: Mapping[Key, ObservedValue]) -> _CurrentTest:
    # The seed is part of the environment: another one rightly gives other numbers.
    fields = {**environment_with_flags(), "seed": str(plan.seed)}
    key = short_digest("\n".join(f"{name}={value}" for name, value in sorted(fields.items())))
    path = get_golden_path(item.path)
    commanded = item.config.stash[SETTINGS].command_line.items()
    options = "".join(f" --repro-{n}={v}".lower() for n, v in commanded if n != "seeds")
    if given := item.config.stash[SETTINGS].vary:
        options += format_vary_options([each for each in plan.vary if each.axis in given])
    options += format_options(item)
    return _CurrentTest(
        item.nodeid,
        path,
        key,
        fields,
        values,
        Baseline(_format_path(item.config, path), key, options=options),
    )


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


def _format_path(config: pytest.Config, path: Path) -> str:
    try:
        return os.path.relpath(path, config.invocation_params.dir)
    except ValueError:  # on another drive
        return str(path)


def _judge_entries(current: _CurrentTest, verdict: Verdict, golden: Golden, keys: Iterable[str]) -> Verdict:
    """The verdict given the entry of this environment; without one, given any entry that agrees."""
    first = None
    for key in keys:
        found = _judge_against(current, verdict, golden, key)
        first = first or found
        if found.outcome == "reproduced" or not (found.baseline and found.baseline.environment_diff):
            return found
    return first or replace(verdict, outcome="no-baseline", baseline=current.baseline)


def _judge_against(current: _CurrentTest, verdict: Verdict, golden: Golden, stored_key: str) -> Verdict:
    """The verdict given the entry of the environment *stored_key*."""
    current, entry = _select_counted(current, verdict, golden.tests[current.nodeid][stored_key])
    base = replace(
        current.baseline,
        stored_key=stored_key,
        environment_diff=diff_environments(current.environment, golden.environments[stored_key]),
    )
    apart = list(find_differing_keys(entry, current.values))
    if base.environment_diff:
        base = replace(base, differing=tuple(_format_names(apart, entry, current)))
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


def _select_counted(current: _CurrentTest, verdict: Verdict, entry: Entry) -> tuple[_CurrentTest, Entry]:
    """*current* and *entry* with the values that count at the level of the test."""
    if (level := verdict.plan.level) is None:
        return current, entry
    observed = current.values
    kept = select_at_level(level, {key: each.observation for key, each in observed.items()})
    entry = tuple(row for row in entry if row.key in kept or row.key not in observed)
    return current._replace(values={key: observed[key] for key in kept}), entry


def _compare_values(current: _CurrentTest, verdict: Verdict, entry: Entry, stored_key: str) -> list[Mismatch]:
    beside, close = get_values_path(current.path), verdict.plan.tolerance_for()
    try:
        with open_safetensors(beside) as tensors:
            return compare_with_golden(entry, current.values, verdict.runs[0], stored_key, close, tensors)
    except ValueError as error:
        raise ValueError(f"has values that cannot be read: {beside.name} {error}") from None


def _needs_update(current: _CurrentTest, golden: Golden, stored_key: str, max_bytes: int) -> bool:
    """Whether an entry for this environment, or one of its values, must still be stored.

    An entry whose values are close but not equal stays: otherwise it would drift step by step.
    """
    if diff_environments(current.environment, golden.environments[stored_key]):
        return True
    if any(find_differing_keys(golden.tests[current.nodeid][stored_key], current.values)):
        return False
    return bool(
        find_missing_values(get_values_path(current.path), collect_arrays(current.values, max_bytes).keys())
    )


def _format_names(keys: Iterable[Key], entry: Entry, current: _CurrentTest) -> Iterator[str]:
    lengths = count_steps([*current.values, *(row.key for row in entry)])
    return (format_key(key, lengths[key[0]] > 1) for key in keys)


def _encode_update(current: _CurrentTest, max_bytes: int) -> dict[str, Any]:
    golden = Golden(
        {current.environment_key: current.environment},
        {current.nodeid: {current.environment_key: make_entry(current.values)}},
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
