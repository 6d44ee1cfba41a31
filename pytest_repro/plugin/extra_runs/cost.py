"""``--repro-cost``: what determinism costs in time, test by test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.run import CostTimings
from pytest_repro.plugin.extra_runs import ExtraRun

if TYPE_CHECKING:
    from pytest_repro.plugin.config.settings import Settings
    from pytest_repro.plugin.extra_runs._runner import ExtraRunner
    from pytest_repro.plugin.run.item_runner import ItemRunner

_PAIRS, _MIN_PAIRS, _TIME_LIMIT = 5, 3, 60.0
"""Pairs of runs; the fewest, once the pairs have taken this many seconds."""

_MODE_TEXTS = {True: "with determinism controls on", False: "with determinism controls off"}
_OUTCOME_VERBS = {"failed": "fails", "skipped": "is skipped"}


class Cost(ExtraRun):
    """Times a test with determinism controls on, off, on, off, …, all runs with the same seed.

    In turn, so that a machine that slows down slows both. The first pair warms up what starts late
    with the controls off (an autotuner, a pool) and does not count.
    """

    order = 20
    purpose, needs_passing_test = "--repro-cost", True
    note_key, label = "cost_note", "cost"

    def get_request(self, plan: Plan, settings: Settings) -> str:
        return "--repro-cost" if settings.cost else ""

    def make(self, runner: ExtraRunner) -> CostTimings:
        plan, start = runner.plan, perf_counter()
        if plan.deterministic is False:
            return CostTimings((), (), "deterministic=False, there are no determinism controls to switch off")
        times: dict[bool, list[float]] = {True: [], False: []}
        for number in range(_PAIRS + 1):
            if runner.should_stop or (number > _MIN_PAIRS and perf_counter() - start > _TIME_LIMIT):
                break
            for controlled in (True, False):
                mode = plan.deterministic if controlled else False
                run, seconds = runner.run(_format_progress(number, controlled), plan.seed, mode)
                if run.outcome != "passed":
                    reason = f"{_MODE_TEXTS[controlled]} it {_OUTCOME_VERBS[run.outcome]}: {run.error}"
                    return CostTimings((), (), reason)
                times[controlled].append(seconds)
        return CostTimings(tuple(times[True][1:]), tuple(times[False][1:]))

    def make_row(self, runner: ItemRunner, result: CostTimings) -> Mapping[str, Any]:
        from pytest_repro.reports.session.cost import cost_to_row

        return cost_to_row(result)

    def format_lines(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        from pytest_repro.reports.session.cost import format_total_cost

        yield from super().format_lines(rows)
        yield from format_total_cost(rows)


def _format_progress(number: int, controlled: bool) -> str:
    pair = f"pair {number} of {_PAIRS}" if number else "warming up"
    return f"timed {_MODE_TEXTS[controlled]}, {pair}"


extra_run = Cost()
