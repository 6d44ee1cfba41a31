"""The runs of a test in this process, all but the last: nobody sees them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pytest_repro.plugin import SETTINGS, peers
from pytest_repro.plugin.extra_runs.extra_runs import Extras
from pytest_repro.plugin.extra_runs.seed_check import controlled, other
from pytest_repro.plugin.run.item_runner import Act
from pytest_repro.plugin.run.progress import Progress
from pytest_repro.plugin.run.rehearse import Rehearser
from pytest_repro.plugin.run.silence import silence

_SPARE = 3
"""Rehearsals that may be repeated because a library was first imported in them."""


class Rehearsals:
    """Makes them.

    Args:
        rehearser: Runs an item once.
        progress: Says which run is made.
        config: Of the session.
    """

    def __init__(self, rehearser: Rehearser, progress: Progress, config: pytest.Config) -> None:
        self._rehearser, self._progress = rehearser, progress
        settings = config.stash[SETTINGS]
        # Fed from a log, another seed would draw what the log holds.
        self._control = settings.control and settings.replay is None
        self._extras = Extras(settings, progress)

    def made(self, act: Act) -> None:
        """Runs the rehearsals of *act*; one in which a library was first imported does not count."""
        item, spare = act.item, _SPARE
        act.pin.counting = self._control
        with peers.rehearsing(item), silence(item, act.hear, act.warnings.keep):
            for cell in act.trial.rehearsals():
                if _stops(item) or act.over:
                    return
                self._progress.run(act.trial, cell)
                act.turn(cell)
                reports, spare = self._counting(act, spare)
                act.rehearsed(reports)
        if self._control and not (_stops(item) or act.plan.ranks):
            self._make_control(act)
        if self.more(act) and not _stops(item):
            self._extras.made(act, self.counting)

    def more(self, act: Act) -> bool:
        """Whether there are runs to make besides those that are compared."""
        return self._extras.asked(act.plan)

    def _make_control(self, act: Act) -> None:
        self._progress.long(f"control with seed {other(act.plan.seed)}")
        # Its warnings are another seed's: those of the runs that are compared are told.
        with peers.rehearsing(act.item), silence(act.item, act.hear, lambda kwargs: None):
            act.control = controlled(act, self.counting)

    def counting(self, act: Act, spares: bool = True) -> Sequence[pytest.TestReport]:
        """Rehearses until a run counts, or just once where none is to spare; gives its reports."""
        return self._counting(act, _SPARE if spares else 0)[0]

    def _counting(self, act: Act, spare: int) -> tuple[list[pytest.TestReport], int]:
        """Gives the reports of a run that counts, and how many more may be spared."""
        while True:
            with act.tracer.run(act.cell):  # of a run that does not count, none is kept
                reports = self._rehearser.once(act.item)
            act.output.keep()
            if act.pin.complete or not spare:
                return reports, spare
            spare -= 1


def _stops(item: pytest.Item) -> bool:
    return bool(item.session.shouldfail or item.session.shouldstop)
