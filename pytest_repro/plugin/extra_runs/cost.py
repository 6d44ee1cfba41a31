"""``--repro-cost``: what determinism costs in time, test by test."""

from __future__ import annotations

from time import perf_counter

from pytest_repro.core.runs.run_summary import CostTimings
from pytest_repro.plugin.extra_runs.extra_runs import ExtraRunner

_PAIRS, _MIN_PAIRS, _TIME_LIMIT = 5, 3, 60.0
"""Pairs of runs; as few as the second where the whole has taken as many seconds as the third."""


def measure_cost(extra_runner: ExtraRunner) -> CostTimings:
    """Runs a test with determinism controls on, off, on, off, …; seeded alike, and else as ever.

    In turn, so that a machine that slows down slows both; a first pair, which warms up what starts
    late with the controls off (an autotuner, a pool), does not count.
    """
    plan, begun = extra_runner.runner.plan, perf_counter()
    if plan.deterministic is False:
        return CostTimings((), (), "deterministic=False, there are no determinism controls to switch off")
    times: dict[bool, list[float]] = {True: [], False: []}
    for number in range(_PAIRS + 1):
        if extra_runner.should_stop or (number > _MIN_PAIRS and perf_counter() - begun > _TIME_LIMIT):
            break
        for on in (True, False):
            mode = plan.deterministic if on else False
            run, seconds = extra_runner.run(_format_progress(number, on), plan.seed, mode)
            if run.outcome != "passed":
                return CostTimings((), (), f"{_MODE_TEXTS[on]} it {_OUTCOME_VERBS[run.outcome]}: {run.error}")
            times[on].append(seconds)
    return CostTimings(tuple(times[True][1:]), tuple(times[False][1:]))


_MODE_TEXTS = {True: "with determinism controls on", False: "with determinism controls off"}
_OUTCOME_VERBS = {"failed": "fails", "skipped": "is skipped"}


def _format_progress(number: int, deterministic: bool) -> str:
    pair = f"pair {number} of {_PAIRS}" if number else "warming up"
    return f"timed {_MODE_TEXTS[deterministic]}, {pair}"
