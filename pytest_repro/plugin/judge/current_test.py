"""One test in this environment: what is compared with its golden file, and what is stored there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from pytest_repro.adapters import environment_with_flags
from pytest_repro.core.compare.mismatch import count_steps
from pytest_repro.core.compare.verdict import Baseline, Verdict
from pytest_repro.core.golden import Entry, Environment
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.observation import Key, format_key, select_at_level
from pytest_repro.engine.golden.compare import ObservedValue
from pytest_repro.plugin.replay_line import format_options
from pytest_repro.plugin.stash import GOLDEN_FOLDER, SETTINGS
from pytest_repro.reports.failure.runs import format_vary_options
from pytest_repro.reports.sweep import format_seeds_option
from pytest_repro.values.hashing import short_digest

if TYPE_CHECKING:
    from pytest_repro.engine.sweep.sweep import SweepResult
    from pytest_repro.plugin.run.item_run import ExtraResults


def get_golden_path(module: Path) -> Path:
    """Path of the golden file of the tests in *module*."""
    return module.parent / GOLDEN_FOLDER / f"{module.stem}.json"


class CurrentTest(NamedTuple):
    """One test in this environment.

    Attributes:
        nodeid: pytest's own.
        path: Of its golden file.
        environment_key: Key of the environment.
        environment: The environment.
        values: The observed values.
        baseline: The part of the verdict that is known so far.
        swept: Its seed sweep; None without one of two seeds or more that all ran.
        budgets: Of the sweep.
    """

    nodeid: str
    path: Path
    environment_key: str
    environment: Environment
    values: Mapping[Key, ObservedValue]
    baseline: Baseline
    swept: SweepResult | None
    budgets: Mapping[str, Mapping[str, float]]


def make_current_test(
    item: pytest.Item, plan: Plan, values: Mapping[Key, ObservedValue], results: ExtraResults
) -> CurrentTest:
    """The test of *item*, whose extra runs are *results*."""
    # The seed is part of the environment: another one rightly gives other numbers.
    fields = {**environment_with_flags(), "seed": str(plan.seed)}
    key = short_digest("\n".join(f"{name}={value}" for name, value in sorted(fields.items())))
    path = get_golden_path(item.path)
    commanded = item.config.stash[SETTINGS].command_line.items()
    options = "".join(f" --repro-{n}={v}".lower() for n, v in commanded if n != "seeds")
    if given := item.config.stash[SETTINGS].vary:
        options += format_vary_options([each for each in plan.vary if each.axis in given])
    if seeds := item.config.stash[SETTINGS].command_line.get("seeds"):
        options += f" {format_seeds_option(seeds)}"
    options += format_options(item)
    swept = results.sweep
    is_whole = swept is not None and len(swept.runs) == len(swept.requested_seeds) > 1
    return CurrentTest(
        item.nodeid,
        path,
        key,
        fields,
        values,
        Baseline(_format_path(item.config, path), key, options=options),
        swept if is_whole else None,
        results.budgets,
    )


def _format_path(config: pytest.Config, path: Path) -> str:
    try:
        return os.path.relpath(path, config.invocation_params.dir)
    except ValueError:  # on another drive
        return str(path)


def select_counted(current: CurrentTest, verdict: Verdict, entry: Entry) -> tuple[CurrentTest, Entry]:
    """*current* and *entry* with the values that count at the level of the test."""
    if (level := verdict.plan.level) is None:
        return current, entry
    observed = current.values
    kept = select_at_level(level, {key: each.observation for key, each in observed.items()})
    entry = tuple(row for row in entry if row.key in kept or row.key not in observed)
    return current._replace(values={key: observed[key] for key in kept}), entry


def format_names(keys: Iterable[Key], entry: Entry, current: CurrentTest) -> Iterator[str]:
    """Displayed names of values of *current*, or of *entry*."""
    lengths = count_steps([*current.values, *(row.key for row in entry)])
    return (format_key(key, lengths[key[0]] > 1) for key in keys)
