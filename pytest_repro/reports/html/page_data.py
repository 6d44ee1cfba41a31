"""What the page shows of a test beyond its row of the JSON report, as plain data that can be sent."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pytest_repro.core.compare.plot_data import PlotData
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.trace.divergence import Divergence
from pytest_repro.core.trace.trace import Op
from pytest_repro.reports.failure.cause import describe_divergence, describe_others, describe_receipts
from pytest_repro.reports.failure.golden import format_update_command
from pytest_repro.reports.failure.runs import describe_plan, format_axis_value, format_run
from pytest_repro.reports.failure.text import (
    format_failure,
    format_failure_note,
    format_lost_runs,
)
from pytest_repro.reports.summary import FAILING_VERDICTS


def make_page_data(nodeid: str, verdict: Verdict) -> dict[str, Any]:
    """What the page shows of a test that did not just reproduce."""
    return {
        "text": _format_terminal_text(nodeid, verdict),
        "terms": describe_plan(verdict.plan),
        "runs": [{"called": format_run(run), "state": run.state, "error": run.error} for run in verdict.runs],
        "pictures": [_plot_to_row(plot) for plot in verdict.plots],
        "sides": _divergence_to_row(verdict.divergence) if verdict.divergence is not None else None,
        "command": format_update_command(nodeid, verdict.baseline.options) if verdict.baseline else "",
    }


def _format_terminal_text(nodeid: str, verdict: Verdict) -> str:
    if verdict.outcome in FAILING_VERDICTS:
        return format_failure(nodeid, verdict)
    lost = format_lost_runs(nodeid, verdict)
    return format_failure_note(verdict) if verdict.outcome == "failed" and not lost else lost


def _plot_to_row(plot: PlotData) -> dict[str, Any]:
    first = format_axis_value(*plot.repeat_of).partition(" ")[2] if plot.repeat_of else "run 1"
    return {
        "name": plot.name,
        "kind": plot.kind,
        "sides": (first, format_run(plot)),
        "series": asdict(plot.series) if plot.series else None,
        "histogram": asdict(plot.histogram) if plot.histogram else None,
        "heatmap": asdict(plot.heatmap) if plot.heatmap else None,
    }


def _divergence_to_row(divergence: Divergence) -> dict[str, Any]:
    return {
        "start": divergence.context_start,
        "index": divergence.index,
        "description": describe_divergence(divergence),
        "ranks": [*describe_others(divergence), *describe_receipts(divergence)],
        "first": list(map(_op_to_row, divergence.context)),
        "other": list(map(_op_to_row, divergence.other_context)),
    }


def _op_to_row(op: Op) -> tuple[str, str]:
    return f"{op.name}  {', '.join(op.kinds)}".rstrip(), op.location
