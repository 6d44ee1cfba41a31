"""Runs in other processes: companions of an axis, forks for a diagnosis, ranks."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import pytest

from pytest_repro.companions.start_state import StartState
from pytest_repro.core.plan.plan import Plan
from pytest_repro.plugin.run.progress import Progress
from pytest_repro.plugin.run.rehearse import Rehearser
from pytest_repro.plugin.stash import LAUNCHED_RANKS, SETTINGS

if TYPE_CHECKING:
    from pytest_repro.plugin.remote.axis_companions import AxisCompanions
    from pytest_repro.plugin.remote.companion_launcher import CompanionLauncher
    from pytest_repro.plugin.remote.diagnosis import Diagnoser
    from pytest_repro.plugin.remote.whole_tests import MakeRow, WholeTests
    from pytest_repro.plugin.run.item_run import JudgeProtocol
    from pytest_repro.plugin.run.item_runner import ItemRunner


class OtherProcesses:
    """Other processes of a session; few sessions need them, and the others do not import what starts them.

    Args:
        session: Starts them.
        progress: Shows what they do.
        rehearser: Keeps pytest from running tests that have run elsewhere.
        make_row: Makes the row of a test that fails.
    """

    def __init__(
        self, session: pytest.Session, progress: Progress, rehearser: Rehearser, make_row: MakeRow
    ) -> None:
        self._session, self._progress, self._start = session, progress, StartState()
        self._rehearser, self._make_row = rehearser, make_row

    @cached_property
    def _launcher(self) -> CompanionLauncher:
        from pytest_repro.plugin.remote.companion_launcher import CompanionLauncher

        return CompanionLauncher(self._session, self._start)

    @cached_property
    def axis_companions(self) -> AxisCompanions:
        """Makes runs in other interpreters."""
        from pytest_repro.plugin.remote.axis_companions import AxisCompanions

        return AxisCompanions(self._launcher, self._progress)

    def make_ranked_runner(
        self, item: pytest.Item, plan: Plan, judge: JudgeProtocol, with_plots: bool
    ) -> ItemRunner:
        """The runner of *item* in ranks, which a launcher has started or which this session starts."""
        if (ranks := item.config.stash.get(LAUNCHED_RANKS, None)) is None:
            return self.axis_companions.make_ranked_runner(item, plan, judge, with_plots)
        from pytest_repro.plugin.fixtures.repro import find_fixtures
        from pytest_repro.plugin.remote.launched import LaunchedTrial
        from pytest_repro.plugin.remote.launched_runner import LaunchedItemRunner
        from pytest_repro.plugin.run.replay import get_replay

        trial = LaunchedTrial(ranks, plan, item.config.stash[SETTINGS].keep_mb, with_plots)
        return LaunchedItemRunner(item, trial, get_replay(item), judge, False, find_fixtures(item))

    @cached_property
    def diagnoser(self) -> Diagnoser:
        """Finds causes."""
        from pytest_repro.plugin.remote.diagnosis import Diagnoser

        return Diagnoser(self._launcher, self._start, self._progress)

    @cached_property
    def _whole_tests(self) -> WholeTests:
        from pytest_repro.plugin.remote.whole_tests import WholeTests

        return WholeTests(self._launcher, self._progress, self._make_row)

    def run_whole(self, item: pytest.Item, nextitem: pytest.Item | None, plan: Plan) -> bool:
        """Runs *item* in another interpreter if an axis of *plan* has a single value, which needs one.

        Returns whether it did: all runs are made, and their reports sent.
        """
        if not any(each.remote and len(each.values) == 1 for each in plan.vary):
            return False
        from pytest_repro.plugin.remote.whole_tests import find_remote_axis

        if (found := find_remote_axis(item, plan)) is None:
            return False
        self._whole_tests.run(item, nextitem, found)
        self._rehearser.leave_out(item)
        self.teardown_for_next(item, nextitem)
        return True

    def teardown_for_next(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        """Has companions tear down what the next test does not need."""
        used = [each for name in ("axis_companions", "_whole_tests") if (each := vars(self).get(name))]
        if used and (nextitem is None or nextitem.parent is not item.parent):
            key = self._launcher.item_keys.get(nextitem, (None, 0)) if nextitem is not None else (None, 0)
            for each in used:
                each.teardown_for_next(*key)

    def close(self, immediately: bool = False) -> None:
        """Ends every companion; gives them a few seconds, unless *immediately*."""
        if "diagnoser" in vars(self):
            self.diagnoser.close()
        if "axis_companions" in vars(self):
            self.axis_companions.close(immediately)
        if "_whole_tests" in vars(self):
            self._whole_tests.close(immediately)
