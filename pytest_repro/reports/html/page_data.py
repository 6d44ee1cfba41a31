"""What the page tells of a test beside its row of the JSON report; as plain data it travels with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pytest_repro.core.compare.plot_data import Histogram, PlotData, Series
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.runs.run import Run
from pytest_repro.core.trace.divergence import Divergence
from pytest_repro.core.trace.trace import Op
from pytest_repro.reports.failure.cause import describe_divergence
from pytest_repro.reports.failure.golden import format_update_command
from pytest_repro.reports.failure.runs import format_axis_value, format_in_run, format_run
from pytest_repro.reports.failure.text import (
    describe_plan,
    format_failure,
    format_failure_note,
    format_lost_runs,
)
from pytest_repro.reports.session.summary import FAILING_VERDICTS


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture, and what its two sides are called.

    Attributes:
        name: Of what was recorded.
        kind: dtype and shape.
        sides: ``("run 1", "run 2")``.
        series: Against step.
        histogram: By distance in ulp.
    """

    name: str
    kind: str
    sides: tuple[str, str]
    series: Series | None
    histogram: Histogram | None


@dataclass(frozen=True, slots=True)
class DivergenceContext:
    """The op at which two runs parted, with its neighbours in both.

    Attributes:
        start: Index of the first row.
        index: Of the op that parted.
        description: What that means, in a few words.
        first: Op and place in the first run, a row each.
        other: The same of the other run.
    """

    start: int
    index: int
    description: str
    first: tuple[tuple[str, str], ...]
    other: tuple[tuple[str, str], ...]


def make_page_data(nodeid: str, verdict: Verdict) -> dict[str, Any]:
    """What the page tells of a test that did not just reproduce, as plain data.

    Args:
        nodeid: What the test is called.
        verdict: What followed from its runs.
    """
    found = verdict.divergence
    return {
        "text": _format_terminal_text(nodeid, verdict),
        "terms": describe_plan(verdict.plan),
        "runs": [_run_to_row(each) for each in verdict.runs],
        "where": list(dict.fromkeys(format_in_run(each) for each in verdict.mismatches)),
        "pictures": [_plot_to_row(each) for each in verdict.plots],
        "sides": asdict(_make_divergence_context(found)) if found is not None else None,
        "command": format_update_command(nodeid, verdict.baseline.options) if verdict.baseline else "",
    }


def _format_terminal_text(nodeid: str, verdict: Verdict) -> str:
    if verdict.outcome in FAILING_VERDICTS:
        return format_failure(nodeid, verdict)
    return format_lost_runs(nodeid, verdict) or (
        format_failure_note(verdict) if verdict.outcome == "failed" else ""
    )


def _run_to_row(run: Run) -> dict[str, str]:
    return {"called": format_run(run), "state": run.state, "error": run.error}


def _plot_to_row(picture: PlotData) -> dict[str, Any]:
    first = format_axis_value(*picture.repeat_of).partition(" ")[2] if picture.repeat_of else "run 1"
    return {
        "name": picture.name,
        "kind": picture.kind,
        "sides": (first, format_run(picture)),
        "series": asdict(picture.series) if picture.series else None,
        "histogram": asdict(picture.histogram) if picture.histogram else None,
    }


def _make_divergence_context(divergence: Divergence) -> DivergenceContext:
    first, other = (tuple(map(_op_to_row, ops)) for ops in (divergence.context, divergence.other_context))
    return DivergenceContext(
        divergence.context_start, divergence.index, describe_divergence(divergence), first, other
    )


def _op_to_row(op: Op) -> tuple[str, str]:
    return f"{op.name}  {', '.join(op.kinds)}".rstrip(), op.location


def plot_from_row(row: Mapping[str, Any]) -> Plot:
    """The picture that :func:`make_page_data` made data of."""
    series, histogram = row["series"], row["histogram"]
    return Plot(
        row["name"], row["kind"], tuple(row["sides"]),
        Series(**{key: _to_tuple(value) for key, value in series.items()}) if series else None,
        Histogram(**{key: _to_tuple(value) for key, value in histogram.items()}) if histogram else None,
    )  # fmt: skip


def divergence_context_from_row(row: Mapping[str, Any]) -> DivergenceContext:
    """The ops that :func:`make_page_data` made data of."""
    return DivergenceContext(**{key: _to_tuple(value) for key, value in row.items()})


def _to_tuple(value: Any) -> Any:
    return tuple(map(_to_tuple, value)) if isinstance(value, (list, tuple)) else value
