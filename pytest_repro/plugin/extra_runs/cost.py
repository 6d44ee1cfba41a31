"""``--repro-cost``: what determinism costs in time, test by test."""

from __future__ import annotations

from time import perf_counter

from pytest_repro.core.runs.cost_timings import Timed
from pytest_repro.plugin.extra_runs.extra_runs import Stage

_PAIRS, _FEWEST, _LONG = 5, 3, 60.0
"""Pairs of runs; as few as the second where the whole has taken as many seconds as the third."""


def timed(stage: Stage) -> Timed:
    """Runs a test with determinism controls on, off, on, off, …; seeded alike, and else as ever.

    In turn, so that a machine that slows down slows both; a first pair, which warms up what starts
    late with the controls off (an autotuner, a pool), does not count.
    """
    plan, begun = stage.act.plan, perf_counter()
    if plan.deterministic is False:
        return Timed((), (), "deterministic=False, there are no determinism controls to switch off")
    times: dict[bool, list[float]] = {True: [], False: []}
    for number in range(_PAIRS + 1):
        if stage.stops or (number > _FEWEST and perf_counter() - begun > _LONG):
            break
        for on in (True, False):
            mode = plan.deterministic if on else False
            run, seconds = stage.once(_doing(number, on), plan.seed, mode)
            if run.outcome != "passed":
                return Timed((), (), f"{_WITH[on]} it {_SAYS[run.outcome]}: {run.error}")
            times[on].append(seconds)
    return Timed(tuple(times[True][1:]), tuple(times[False][1:]))


_WITH = {True: "with determinism controls on", False: "with determinism controls off"}
_SAYS = {"failed": "fails", "skipped": "is skipped"}


def _doing(number: int, on: bool) -> str:
    pair = f"pair {number} of {_PAIRS}" if number else "warming up"
    return f"timed {_WITH[on]}, {pair}"
