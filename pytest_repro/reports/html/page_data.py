"""What the page tells of a test beside its row of the JSON report; as plain data it travels with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pytest_repro.core.compare.plot_data import Histogram, Picture, Series
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.runs.run import Run
from pytest_repro.core.trace.divergence import Divergence
from pytest_repro.core.trace.trace import Op
from pytest_repro.reports.failure.cause import read
from pytest_repro.reports.failure.golden import command
from pytest_repro.reports.failure.runs import at, called, where
from pytest_repro.reports.failure.text import beside, failure, lost, terms
from pytest_repro.reports.session.summary import BAD


@dataclass(frozen=True, slots=True)
class Drawn:
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
class Sides:
    """The op at which two runs parted, with its neighbours in both.

    Attributes:
        start: Index of the first row.
        index: Of the op that parted.
        said: What that means, in a few words.
        first: Op and place in the first run, a row each.
        other: The same of the other run.
    """

    start: int
    index: int
    said: str
    first: tuple[tuple[str, str], ...]
    other: tuple[tuple[str, str], ...]


def plain(nodeid: str, verdict: Verdict) -> dict[str, Any]:
    """What the page tells of a test that did not just reproduce, as plain data.

    Args:
        nodeid: What the test is called.
        verdict: What followed from its runs.
    """
    found = verdict.divergence
    return {
        "text": _text(nodeid, verdict),
        "terms": terms(verdict.plan),
        "runs": [_run(each) for each in verdict.runs],
        "where": list(dict.fromkeys(where(each) for each in verdict.mismatches)),
        "pictures": [_picture(each) for each in verdict.pictures],
        "sides": asdict(_sides(found)) if found is not None else None,
        "command": command(nodeid, verdict.baseline.options) if verdict.baseline else "",
    }


def _text(nodeid: str, verdict: Verdict) -> str:
    if verdict.word in BAD:
        return failure(nodeid, verdict)
    return lost(nodeid, verdict) or (beside(verdict) if verdict.word == "failed" else "")


def _run(run: Run) -> dict[str, str]:
    return {"called": called(run), "state": run.state, "error": run.error}


def _picture(each: Picture) -> dict[str, Any]:
    first = at(*each.at).partition(" ")[2] if each.at else "run 1"
    return {
        "name": each.name,
        "kind": each.kind,
        "sides": (first, called(each)),
        "series": asdict(each.series) if each.series else None,
        "histogram": asdict(each.histogram) if each.histogram else None,
    }


def _sides(found: Divergence) -> Sides:
    first, other = (tuple(map(_op, ops)) for ops in (found.context, found.other_context))
    return Sides(found.start, found.index, read(found), first, other)


def _op(op: Op) -> tuple[str, str]:
    return f"{op.name}  {', '.join(op.kinds)}".rstrip(), op.location


def drawn(row: Mapping[str, Any]) -> Drawn:
    """The picture that :func:`plain` made data of."""
    series, histogram = row["series"], row["histogram"]
    return Drawn(
        row["name"], row["kind"], tuple(row["sides"]),
        Series(**{key: _tuple(value) for key, value in series.items()}) if series else None,
        Histogram(**{key: _tuple(value) for key, value in histogram.items()}) if histogram else None,
    )  # fmt: skip


def sides(row: Mapping[str, Any]) -> Sides:
    """The ops that :func:`plain` made data of."""
    return Sides(**{key: _tuple(value) for key, value in row.items()})


def _tuple(value: Any) -> Any:
    return tuple(map(_tuple, value)) if isinstance(value, (list, tuple)) else value
