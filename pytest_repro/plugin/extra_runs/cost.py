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


class CostRuns(ExtraRun):
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
            pair = f"pair {number} of {_PAIRS}" if number else "warming up"
            for controlled, text in _MODE_TEXTS.items():
                mode = plan.deterministic if controlled else False
                run, seconds = runner.run(f"timed {text}, {pair}", plan.seed, mode)
                if run.outcome != "passed":
                    return CostTimings((), (), f"{text} it {_OUTCOME_VERBS[run.outcome]}: {run.error}")
                times[controlled].append(seconds)
        return CostTimings(tuple(times[True][1:]), tuple(times[False][1:]))

    def make_row(self, runner: ItemRunner, result: CostTimings) -> Mapping[str, Any]:
        return cost_to_row(result)

    def format_lines(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        yield from super().format_lines(rows)
        yield from format_total_cost(rows)


def cost_to_row(timings: CostTimings) -> dict[str, Any]:
    """``cost`` and its note for the summary."""
    from pytest_repro.metrics.costs import cost

    if not (timings.deterministic and timings.default):
        return {"cost_note": f"not measured: {timings.error}"} if timings.error else {}
    measured = cost(timings.deterministic, timings.default)
    row: dict[str, Any] = {
        name: round(getattr(measured, name), 9) for name in ("deterministic", "default", "ratio")
    }
    if measured.spread:
        row["spread"] = [round(ratio, 9) for ratio in measured.spread]
    return {"cost": row, "cost_note": str(measured)}


def format_total_cost(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The line for all timed tests, if there are several."""
    timed = [row["cost"] for row in rows if "cost" in row]
    if len(timed) > 1:
        from pytest_repro.metrics.costs import Cost

        on, off = (sum(times[name] for times in timed) for name in ("deterministic", "default"))
        yield f"cost      total  {Cost(on, off, (len(timed), len(timed))).summary}"


extra_run = CostRuns()
