"""Runs of a test besides those that are compared: they come before the last one, and nobody sees them.

What they leave behind on the way meets the last run alone, as of a control run.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING

import pytest

from pytest_repro.adapters import awake
from pytest_repro.core.plan.plan import Deterministic, Plan
from pytest_repro.core.runs.run import Outcome, Run
from pytest_repro.core.runs.run_summary import Gathered
from pytest_repro.engine.runs.pin import Pin
from pytest_repro.engine.runs.recording import Recording
from pytest_repro.engine.sweep.run_summary import gathered
from pytest_repro.plugin import peers
from pytest_repro.plugin.config.settings import Settings
from pytest_repro.plugin.run.outcome import LEAVE, by_mark, expected, place_of, shown, torn_down
from pytest_repro.plugin.run.progress import Progress
from pytest_repro.plugin.run.silence import silence
from pytest_repro.values.spill_store import Shelf

if TYPE_CHECKING:
    from pytest_repro.plugin.run.item_runner import Act

_KEEP = 256 * 2**20
"""Bytes of one run's values in memory; the rest waits in a file for being read."""

Counting = Callable[["Act"], Sequence[pytest.TestReport]]


class Extras:
    """Makes them.

    Args:
        settings: What is asked.
        progress: Says which run is made.
    """

    def __init__(self, settings: Settings, progress: Progress) -> None:
        self._progress = progress
        # Fed from a log, they would draw and time what the log holds.
        self._replayed = settings.replay is not None
        self._cost = settings.cost and not self._replayed
        self._noise = 0 if self._replayed else settings.noise

    def asked(self, plan: Plan) -> bool:
        """Whether a test of *plan* has any; runs in ranks are not recorded here, and make none."""
        return not plan.ranks and (self._cost or self._noise > 0 or self._sweeps(plan))

    def _sweeps(self, plan: Plan) -> bool:
        return bool(plan.seeds) and not self._replayed

    def made(self, act: Act, counting: Counting) -> None:
        """Makes those of *act*, whose rehearsals are done; of a test that fails its sweep alone."""
        reference = act.trial.reference
        outcome = act.beside.first = reference[0].outcome if reference is not None else "passed"
        skipped = outcome == "skipped" and reference is not None and by_mark(reference[0])
        if not self.asked(act.plan) or skipped:
            return
        # Their warnings are of another seed or another mode: those of the runs that are compared are told.
        with peers.rehearsing(act.item), silence(act.item, act.hear, lambda kwargs: None):
            try:
                self._told(act, Stage(act, counting, self._progress), outcome)
            except LEAVE:
                raise
            except Exception as error:  # of what the test recorded: the session goes on
                act.beside.broken = "".join(traceback.format_exception(error))

    def _told(self, act: Act, stage: Stage, outcome: Outcome) -> None:
        """Makes them, and puts down what they say together."""
        if self._cost and outcome == "passed":
            from pytest_repro.plugin.extra_runs.cost import timed

            act.beside.timed = timed(stage)
        if self._sweeps(act.plan):
            from pytest_repro.plugin.extra_runs.sweep import swept

            act.beside.swept = swept(stage)
        if self._noise and outcome == "passed":
            from pytest_repro.plugin.extra_runs.noise import noises

            act.beside.noise = noises(stage, self._noise)


class Stage:
    """Where one test is run besides.

    Attributes:
        act: The test.
    """

    def __init__(self, act: Act, counting: Counting, progress: Progress) -> None:
        self.act, self._counting, self._progress = act, counting, progress
        self._reports: Sequence[pytest.TestReport] = ()

    @property
    def stops(self) -> bool:
        """Whether the session is to end."""
        session = self.act.item.session
        return bool(session.shouldfail or session.shouldstop)

    def once(self, doing: str, seed: int, mode: Deterministic) -> tuple[Run, float]:
        """One run.

        Args:
            doing: What it is for, to be shown.
            seed: Of its generators.
            mode: Of deterministic algorithms.

        Returns:
            Its record, and the seconds that its body took.
        """
        self._progress.long(doing)
        act, watch = self.act, _Stopwatch()
        with _pinned(act, mode), _shown(act, watch):
            act.turn(act.trial.last, seed=seed)
            self._reports = self._counting(act)
            run = torn_down(act.finished(self._reports), self._reports)
        return run, watch.seconds

    def shown(self, doing: str, seed: int, mode: Deterministic, weights: bool = False) -> Gathered:
        """One run, and what is told of it together with others; arguments as of :meth:`once`.

        Args:
            weights: Whether weights are read as well.
        """
        act = self.act
        with Shelf(_KEEP) as shelf, _recorded(act, shelf):
            run, seconds = self.once(doing, seed, mode)
            found = gathered(seed, run, seconds, act.recording, shelf, weights)
        expects = expected(self._reports)
        return replace(found, outcome=shown(run), expected=expects, place=place_of(run))


@contextmanager
def _recorded(act: Act, shelf: Shelf) -> Iterator[None]:
    """Puts the values of the runs of the block on *shelf*, where they can be read."""
    before = act.beside.recording
    act.beside.recording = lambda: Recording(shelf, act.plan.closeness())
    try:
        yield
    finally:
        act.beside.recording = before


@contextmanager
def _pinned(act: Act, mode: Deterministic) -> Iterator[None]:
    """Holds the runs of the block at *mode*, and what is held otherwise is as it was before."""
    before = act.pin
    before.release()
    act.pin = Pin(act.plan.seed, mode)
    try:
        yield
    finally:
        act.pin.release()
        act.pin = before


@contextmanager
def _shown(act: Act, watch: _Stopwatch) -> Iterator[None]:
    before, act.shown = act.shown, watch.measured
    try:
        yield
    finally:
        act.shown = before


class _Stopwatch:
    """Measures what a run does: its set-up, then its body, so that the body's time is left."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def measured(self) -> Iterator[None]:
        _finish()
        begun = perf_counter()
        try:
            yield
            _finish()
        finally:
            self.seconds = perf_counter() - begun


def _finish() -> None:
    for adapter in awake().values():
        adapter.finish()
