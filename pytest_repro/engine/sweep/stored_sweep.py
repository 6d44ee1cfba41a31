"""A sweep in a golden file: stored with the values of an entry, and compared with a later one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.stored_value import StoredValue
from pytest_repro.core.compare.sweep_comparison import ShiftSide, SweepComparison
from pytest_repro.core.compare.verdict import BASELINE
from pytest_repro.core.golden import Entry
from pytest_repro.core.runs.observation import format_key
from pytest_repro.engine.sweep.sweep import BudgetLimits, SweepResult
from pytest_repro.metrics._arguments import format_seeds
from pytest_repro.metrics.seeds import Sweep
from pytest_repro.metrics.sweeps.comparison import compare_sweeps

_ALPHA = 0.05


class StoredSweepResult(NamedTuple):
    """How a sweep compares with a stored one.

    Attributes:
        comparisons: By headline.
        mismatches: What has shifted, is missing, or is not finite any more.
        uncompared: Headlines that could not be compared.
    """

    comparisons: dict[str, SweepComparison]
    mismatches: list[Mismatch]
    uncompared: list[str]


def has_sweep(entry: Entry) -> bool:
    """Whether a sweep is stored in *entry*."""
    return any(row.sweep for row in entry)


def attach_sweep(entry: Entry, swept: SweepResult | None) -> Entry:
    """*entry* with the values over seeds of its headlines: of each number in the row of its last step."""
    if swept is None:
        return entry
    last = {name: row.key for name, row in _name_last_rows(entry).items()}
    return tuple(
        row._replace(sweep=swept.headlines[name].values)
        if (name := _name(row)) in swept.headlines and last[name] == row.key
        else row
        for row in entry
    )


def _name(row: StoredValue) -> str:
    return format_key(row.key, False)


def _name_last_rows(entry: Entry) -> dict[str, StoredValue]:
    return {_name(row): row for row in sorted(entry, key=lambda row: row.step)}


def compare_with_stored_sweep(
    entry: Entry, stored_key: str, swept: SweepResult, budgets: Mapping[str, BudgetLimits]
) -> StoredSweepResult:
    """Compares the headlines of *swept* with those stored in *entry*.

    All headlines together have a false alarm in some 5 % of changes: of k that differ, each is tested at
    0.05 / k (Dunn, Multiple comparisons among means, JASA 56, 1961).

    Args:
        entry: With a sweep.
        stored_key: Key of its environment.
        swept: The sweep of this session, complete.
        budgets: Of the test; a ``min`` without a ``max`` says that smaller is worse, and the reverse.
    """
    stored = {_name(row): row for row in entry if row.sweep}
    changed = [name for name, row in stored.items() if _is_changed(row, swept.headlines.get(name))]
    result = StoredSweepResult({}, [], [name for name in swept.headlines if name not in stored])
    for name, row in stored.items():
        if lost := _describe_lost_values(row, name, swept):
            result.mismatches.append(_make_mismatch(name, row, stored_key, lost))
        if name not in swept.headlines:
            continue
        alpha = _ALPHA / (len(changed) if name in changed else 1)
        here, there = _select_finite(swept.headlines[name].values), _select_finite(row.sweep)
        try:
            found = compare_sweeps(here, there, _find_side(budgets.get(name, {})), alpha=alpha)
        except ValueError:  # numbers near the largest float
            result.uncompared.append(name)
            continue
        result.comparisons[name] = found
        if found.significant:
            result.mismatches.append(_make_mismatch(name, row, stored_key, found.describe_means()))
    return result


def _is_changed(row: StoredValue, now: Sweep | None) -> bool:
    # As text: NaN is not equal to itself.
    return now is not None and sorted(map(repr, now.values)) != sorted(map(repr, row.sweep))


def _select_finite(values: tuple[tuple[int, float], ...]) -> dict[int, float]:
    return {seed: value for seed, value in values if math.isfinite(value)}


def _describe_lost_values(row: StoredValue, name: str, swept: SweepResult) -> str:
    """What is no number here and is one in the golden file; ``""`` if nothing is."""
    if name not in swept.headlines:
        bad = swept.nonfinite_seeds.get(name, ())
        return f"not finite with {format_seeds(bad)}" if bad else "recorded in the golden file only"
    now = swept.headlines[name]
    before, bad = len(row.sweep) - len(_select_finite(row.sweep)), now.not_finite
    if len(bad) / len(now.values) <= before / len(row.sweep):
        return ""
    return f"not finite with {format_seeds(bad)}, in the golden file with {before} of {len(row.sweep)}"


def _find_side(limits: BudgetLimits) -> ShiftSide:
    if ("min" in limits) == ("max" in limits):
        return "both"
    return "lower" if "min" in limits else "upper"


def _make_mismatch(name: str, row: StoredValue, stored_key: str, detail: str) -> Mismatch:
    is_missing = detail.endswith(" only")
    problem: Literal["missing", "values"] = "missing" if is_missing else "values"
    other_kind = "" if is_missing else row.kind
    return Mismatch(name, *row.key, BASELINE, stored_key, problem, row.kind, other_kind, detail=detail)
