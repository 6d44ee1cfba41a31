"""The cost of determinism, for a row of the report and a line of the section."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_repro.core.runs.run import CostTimings
from pytest_repro.metrics.costs import Cost, cost


def cost_to_row(timings: CostTimings) -> dict[str, Any]:
    """``cost`` and its note for the section."""
    if not (timings.deterministic and timings.default):
        return {"cost_note": f"not measured: {timings.error}"} if timings.error else {}
    measured = cost(timings.deterministic, timings.default)
    numbers = {name: getattr(measured, name) for name in ("deterministic", "default", "ratio")}
    row: dict[str, Any] = {name: round(value, 9) for name, value in numbers.items()}
    if measured.spread:
        row["spread"] = [round(ratio, 9) for ratio in measured.spread]
    return {"cost": row, "cost_note": str(measured)}


def format_total_cost(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The line for all timed tests, if there are several."""
    timed = [row["cost"] for row in rows if "cost" in row]
    if len(timed) > 1:
        on, off = (sum(times[name] for times in timed) for name in ("deterministic", "default"))
        yield f"cost      total  {Cost(on, off, (len(timed), len(timed))).summary}"
