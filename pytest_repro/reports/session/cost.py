"""What determinism costs, as a row of the report and as lines of the session's section."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_repro.core.runs.run_summary import CostTimings
from pytest_repro.metrics.costs import Cost, cost


def cost_to_row(timings: CostTimings) -> dict[str, Any]:
    """What the row of a test says: ``cost``, and its line for the terminal."""
    if not (timings.deterministic and timings.default):
        return {"cost_note": f"not told: {timings.error}"} if timings.error else {}
    found = cost(timings.deterministic, timings.default)
    row = {"deterministic": found.deterministic, "default": found.default, "ratio": found.ratio}
    told: dict[str, Any] = {name: round(value, 9) for name, value in row.items()}
    if found.spread:
        told["spread"] = [round(each, 9) for each in found.spread]
    return {"cost": told, "cost_note": str(found)}


def format_cost_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each test that was timed, and one for all of them where they are several."""
    timed = [row["cost"] for row in rows if "cost" in row]
    for row in rows:
        if told := row.get("cost_note"):
            yield f"cost      {row['nodeid']}  {told}"
    if len(timed) > 1:
        on, off = (sum(each[name] for each in timed) for name in ("deterministic", "default"))
        yield f"cost      in sum  {Cost(on, off, (len(timed), len(timed))).summary}"
