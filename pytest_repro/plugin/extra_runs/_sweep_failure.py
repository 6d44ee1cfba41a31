"""Failures of tests that do not hold for every seed of their sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_repro.engine.sweep.sweep import SweepResult
from pytest_repro.plugin.exceptions import SeedDependent
from pytest_repro.plugin.exceptions import format_nodeid as called_as
from pytest_repro.plugin.run.warnings import warn_at_item
from pytest_repro.reports.session.sweep import format_constant_predictions, format_failure, format_headline

if TYPE_CHECKING:
    from pytest_repro.plugin.run.item_runner import ItemRunner


def find_sweep_failure(runner: ItemRunner, result: SweepResult) -> SeedDependent | None:
    """The failure of a passing test by its sweep, or None; warns of constant predictions.

    Raises:
        pytest.fail.Exception: Such warnings are errors.
    """
    for line in format_constant_predictions(result):
        from pytest_repro.metrics.predictions import ConstantModelWarning

        warn_at_item(runner.item, ConstantModelWarning, line)
    return _make_failure(runner, result, result.xfail_reason) if result.failed else None


def find_hidden_sweep_failure(runner: ItemRunner, raised_in_body: bool) -> SeedDependent | None:
    """The failure by the sweep of a test whose own run is xfailed or skipped; None if there is none.

    That one run was set aside says nothing about the other seeds.

    Args:
        runner: Of the test.
        raised_in_body: Whether its body called :func:`pytest.xfail` or :func:`pytest.skip`; otherwise a
            marker expects the failure.
    """
    swept = runner.extra_results.sweep
    if swept is None:
        return None
    others = (each for each in swept.runs if each.seed != runner.plan.seed)
    failed = any(each.outcome == "failed" and each.xfail_reason is None for each in others)
    over = swept.exceeded_budgets and (raised_in_body or not _expects_any_failure(runner.item))
    return _make_failure(runner, swept, None, runner.plan.seed) if failed or over else None


def _expects_any_failure(item: pytest.Item) -> bool:
    """Whether a marker ``xfail`` expects any failure, an exceeded budget too."""
    return any(mark.kwargs.get("raises") is None for mark in item.iter_markers("xfail"))


def _make_failure(
    runner: ItemRunner, result: SweepResult, xfail_reason: str | None, expected_seed: int | None = None
) -> SeedDependent:
    return SeedDependent(
        format_failure(called_as(runner.item), result, expected_seed), format_headline(result), xfail_reason
    )
