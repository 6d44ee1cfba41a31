"""The runs of a test in this process, all but the last: nobody sees them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pytest_repro.plugin import peers
from pytest_repro.plugin.extra_runs.extra_runs import ExtraRuns
from pytest_repro.plugin.extra_runs.seed_check import other_seed, run_with_other_seed
from pytest_repro.plugin.run.item_runner import ItemRunner
from pytest_repro.plugin.run.progress import Progress
from pytest_repro.plugin.run.rehearse import Rehearser
from pytest_repro.plugin.run.silence import silence
from pytest_repro.plugin.stash import SETTINGS

_MAX_RETRIES = 3
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
        self._with_seed_check = settings.control and settings.replay is None
        self._extra_runs = ExtraRuns(settings, progress)

    def run(self, runner: ItemRunner) -> None:
        """Runs the rehearsals of *runner*; one in which a library was first imported does not count."""
        item, spare = runner.item, _MAX_RETRIES
        runner.pin.track_generators = self._with_seed_check
        with peers.wrap_rehearsals(item), silence(item, runner.note_subtest_report, runner.warnings.add):
            for cell in runner.trial.iter_rehearsals():
                if _should_stop(item) or runner.rehearsals_over:
                    return
                self._progress.show_run(runner.trial, cell)
                runner.prepare_run(cell)
                reports, spare = self._rehearse_with_retries(runner, spare)
                runner.finish_rehearsal(reports)
        if self._with_seed_check and not (_should_stop(item) or runner.plan.ranks):
            self._run_seed_check(runner)
        if self.has_extra_runs(runner) and not _should_stop(item):
            self._extra_runs.run(runner, self.rehearse_until_settled)

    def has_extra_runs(self, runner: ItemRunner) -> bool:
        """Whether there are runs to make besides those that are compared."""
        return self._extra_runs.should_run(runner.plan)

    def _run_seed_check(self, runner: ItemRunner) -> None:
        self._progress.show_if_long(f"control with seed {other_seed(runner.plan.seed)}")
        # Its warnings are another seed's: those of the runs that are compared are told.
        with (
            peers.wrap_rehearsals(runner.item),
            silence(runner.item, runner.note_subtest_report, lambda kwargs: None),
        ):
            runner.seed_check = run_with_other_seed(runner, self.rehearse_until_settled)

    def rehearse_until_settled(
        self, runner: ItemRunner, can_retry: bool = True
    ) -> Sequence[pytest.TestReport]:
        """Rehearses until a run counts, or just once where none is to spare; gives its reports."""
        return self._rehearse_with_retries(runner, _MAX_RETRIES if can_retry else 0)[0]

    def _rehearse_with_retries(
        self, runner: ItemRunner, retries_left: int
    ) -> tuple[list[pytest.TestReport], int]:
        """Gives the reports of a run that counts, and how many more may be spared."""
        while True:
            with runner.tracer.trace_run(runner.cell):  # of a run that does not count, none is kept
                reports = self._rehearser.rehearse(runner.item)
            runner.setup_output.save()
            if runner.pin.all_libraries_seeded or not retries_left:
                return reports, retries_left
            retries_left -= 1


def _should_stop(item: pytest.Item) -> bool:
    return bool(item.session.shouldfail or item.session.shouldstop)
