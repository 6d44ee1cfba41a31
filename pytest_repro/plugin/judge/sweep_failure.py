"""How a test fails that does not hold for every seed of its sweep: by its text alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_repro.engine.sweep.sweep import Swept
from pytest_repro.plugin.exceptions import SeedDependent
from pytest_repro.plugin.exceptions import called as called_as
from pytest_repro.plugin.run.warnings import warn_at
from pytest_repro.reports.session.sweep import constant, failure, headline

if TYPE_CHECKING:
    from pytest_repro.plugin.run.item_runner import Act


def scattered(act: Act, swept: Swept) -> SeedDependent | None:
    """What is to be raised of a test that passed, where its sweep fails it; warns of constant models.

    Raises:
        pytest.fail.Exception: Such warnings are errors.
    """
    for told in constant(swept):
        from pytest_repro.metrics.predictions import ConstantModelWarning

        warn_at(act.item, ConstantModelWarning, told)
    return _broken(act, swept, swept.expected) if swept.broken else None


def hidden(act: Act, called: bool) -> SeedDependent | None:
    """How the sweep fails of a test whose own run was expected to fail, or skipped; None where it is kept.

    That the one run was set aside says nothing of the other seeds.

    Args:
        act: Of the test.
        called: Whether its body called :func:`pytest.xfail` or :func:`pytest.skip`; else a marker
            expects the failure.
    """
    swept = act.beside.swept
    if swept is None:
        return None
    others = (each for each in swept.runs if each.seed != act.plan.seed)
    failed = any(each.outcome == "failed" and each.expected is None for each in others)
    over = swept.over and (called or not _expects_any(act.item))
    return _broken(act, swept, None, act.plan.seed) if failed or over else None


def _expects_any(item: pytest.Item) -> bool:
    """Whether a marker ``xfail`` expects any failure, a broken budget too."""
    return any(mark.kwargs.get("raises") is None for mark in item.iter_markers("xfail"))


def _broken(act: Act, swept: Swept, expected: str | None, but: int | None = None) -> SeedDependent:
    return SeedDependent(failure(called_as(act.item), swept, but), headline(swept), expected)
