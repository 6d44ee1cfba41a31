"""Runs in other processes: companions of an axis, forks for a diagnosis, ranks."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import pytest

from pytest_repro.companions.start_state import StartState
from pytest_repro.plugin.run.progress import Progress

if TYPE_CHECKING:
    from pytest_repro.plugin.remote.axis_companions import AxisCompanions
    from pytest_repro.plugin.remote.companion_launcher import CompanionLauncher
    from pytest_repro.plugin.remote.diagnosis import Diagnoser


class OtherProcesses:
    """Other processes of a session; few sessions need them, and the others do not import what starts them."""

    def __init__(self, session: pytest.Session, progress: Progress) -> None:
        self._session, self._progress, self._start = session, progress, StartState()

    @cached_property
    def _launcher(self) -> CompanionLauncher:
        from pytest_repro.plugin.remote.companion_launcher import CompanionLauncher

        return CompanionLauncher(self._session, self._start)

    @cached_property
    def axis_companions(self) -> AxisCompanions:
        """Makes runs in other interpreters."""
        from pytest_repro.plugin.remote.axis_companions import AxisCompanions

        return AxisCompanions(self._launcher, self._progress)

    @cached_property
    def diagnoser(self) -> Diagnoser:
        """Finds causes."""
        from pytest_repro.plugin.remote.diagnosis import Diagnoser

        return Diagnoser(self._launcher, self._start, self._progress)

    def teardown_for_next(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        """Has companions tear down what the next test does not need."""
        if "axis_companions" in vars(self):
            self.axis_companions.teardown_for_next(item, nextitem)

    def close(self, immediately: bool = False) -> None:
        """Ends every companion; gives them a few seconds, unless *immediately*."""
        if "diagnoser" in vars(self):
            self.diagnoser.close()
        if "axis_companions" in vars(self):
            self.axis_companions.close(immediately)
