"""How a test fails that does not hold for every seed of its sweep: by its text alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_repro.engine.sweep import Swept
from pytest_repro.plugin.diverged import SeedDependent, called
from pytest_repro.plugin.warned import warn_at
from pytest_repro.reports.sweep import constant, failure, headline

if TYPE_CHECKING:
    from pytest_repro.plugin.act import Act


def scattered(act: Act, swept: Swept) -> SeedDependent | None:
    """What is to be raised of a test that passed, where its sweep fails it; warns of constant models.

    Raises:
        pytest.fail.Exception: Such warnings are errors.
    """
    for told in constant(swept):
        from pytest_repro.metrics.predictions import ConstantModelWarning

        warn_at(act.item, ConstantModelWarning, told)
    if not swept.broken:
        return None
    return SeedDependent(failure(called(act.item), swept), headline(swept), swept.expected)
