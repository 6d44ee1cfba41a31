"""A test's row of the JSON report, made into the records again that it was written from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from pytest_repro.axes import named, names
from pytest_repro.core.compare.difference import Difference
from pytest_repro.core.compare.mismatch import Mismatch, Problem
from pytest_repro.core.compare.verdict import WORDS, Verdict
from pytest_repro.core.diagnose.finding import Finding
from pytest_repro.core.golden.golden import BASELINE, Baseline
from pytest_repro.core.plan.cell import REPEAT, Varied
from pytest_repro.core.plan.level import LEVELS, Standing
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.plan.tolerance import Tolerance
from pytest_repro.core.runs.run import Outcome, Run
from pytest_repro.core.runs.token_sequence import Parting as TokenParting
from pytest_repro.core.trace.divergence import Divergence, Parting
from pytest_repro.core.trace.trace import Op
from pytest_repro.reports.json.checked import BadReport, Place


def verdict_of(row: Place, environment: Mapping[str, str], seed: int) -> Verdict:
    """The verdict that :func:`~pytest_repro.reports.json.write.row_of` made *row* of.

    Args:
        row: Of one test.
        environment: Of the report: runs elsewhere tell only what was not the same there.
        seed: Of the report.

    Raises:
        BadReport: Something in it does not fit; says where.
    """
    runs = tuple(_run(each, environment) for each in row["runs"])
    if not runs:
        raise BadReport(f"{row.where} has no runs")
    divergence, cause = row.get("divergence"), row.get("cause")
    told = row.get("verdict")  # none of a test that ran once
    word: Any = told.text(*WORDS) if told else None
    return Verdict(
        word,
        _plan(row.get("plan"), runs, seed),
        runs,
        tuple(map(_mismatch, row.get("mismatches") or ())),
        {name: steps.whole(1) for name, steps in _fields(row.get("steps"))},
        _texts(row.get("passed_over")),
        _divergence(divergence) if divergence else None,
        _finding(cause) if cause else None,
        _baseline(stored) if (stored := row.get("baseline")) else None,
        level=_standing(row.get("level")),
    )


def _standing(row: Place | None) -> Standing | None:
    if row is None:
        return None
    asked: Any = row["asked"].text(*LEVELS)
    reached: Any = row["reached"].text(*LEVELS, "none")
    return Standing(asked, reached)


def _fields(place: Place | None) -> list[tuple[str, Place]]:
    return list(place.items()) if place else []


def _texts(place: Place | None) -> tuple[str, ...]:
    return tuple(each.text() for each in place or ())


def _text(place: Place | None, *allowed: str) -> str:
    return place.text(*allowed) if place else ""


def _whole(place: Place | None) -> int:
    return place.whole() if place else 0


def _axis(place: Place, name: str) -> str:
    if name not in (REPEAT, BASELINE, *names()):
        raise BadReport(f"{place.where} is of the axis {name!r}, which is not known here")
    return name


def _cell(place: Place) -> tuple[str, object]:
    axis = _axis(place, place["axis"].text())
    return axis, place["value"].whole() if axis == REPEAT else place["value"].scalar()


def _at(place: Place | None) -> tuple[str, object] | None:
    return next(((_axis(value, axis), value.scalar()) for axis, value in _fields(place)), None)


def _run(row: Place, environment: Mapping[str, str]) -> Run:
    axis, value = _cell(row)
    reason = row.get("reason")
    outcome: Outcome = row["outcome"].text(*get_args(Outcome))  # type: ignore[assignment]
    there = row.get("environment")
    drew, setting = row.get("drew"), _fields(row.get("setting"))
    return Run(
        axis, value, outcome, row["seconds"].number(), row["observations"].whole(),
        error=_text(reason or row.get("error")), traceback=_text(row.get("traceback")),
        setting={_axis(place, name): place.scalar() for name, place in setting}, at=_at(row.get("at")),
        state="ran" if reason is None else "absent" if outcome == "skipped" else "lost",
        drew=drew is not None and drew.scalar() is True,
        unlike={name: (environment.get(name, "?"), place.text()) for name, place in _fields(there)},
        beyond=_texts(row.get("beyond")),
    )  # fmt: skip


def _plan(row: Place | None, runs: tuple[Run, ...], seed: int) -> Plan:
    if row is None:  # a report of version 0.1.0
        return Plan(sum(run.axis == REPEAT and run.at is None for run in runs), seed)
    rtol, atol, audit = row.get("rtol"), row.get("atol"), row.get("audit")
    capture: Any = _text(row.get("capture"), "auto", "recorded", "locals") or "auto"
    level: Any = _text(row.get("level"), *LEVELS) or None
    return Plan(
        row["runs"].whole(1), row["seed"].whole(),
        Tolerance(float(rtol.number()), float(atol.number())) if rtol and atol else None,
        capture=capture, level=level, audit=audit is not None and audit.scalar() is True,
        vary=tuple(_varied(place, name) for name, place in _fields(row.get("vary"))),
    )  # fmt: skip


def _varied(place: Place, name: str) -> Varied:
    axis, values = named(_axis(place, name)), tuple(each.scalar() for each in place)
    return Varied(name, values, axis.elsewhere, axis.close, axis.mixed)


def _mismatch(row: Place) -> Mismatch:
    axis, value = _cell(row)
    problem: Problem = row["problem"].text(*get_args(Problem))  # type: ignore[assignment]
    name, kind = row["name"].text(), _text(row.get("kind"))
    other = row.get("other_kind")  # absent where it is the same
    return Mismatch(
        name, _text(row.get("series")) or name, _whole(row.get("step")), _text(row.get("path")),
        axis, value, problem, kind, other.text() if other else kind,
        _difference(row) if row.get("total") else None, _text(row.get("detail")), _at(row.get("at")),
    )  # fmt: skip


def _difference(row: Place) -> Difference:
    differing, sides = row["differing"].whole(), _texts(row.get("first_values"))
    far = {key: float(place.number()) for key in ("max_abs", "max_rel") if (place := row.get(key))}
    outside, ulp, index = row.get("outside"), row.get("max_ulp"), row.get("first_index")
    return Difference(
        differing, row["total"].whole(), outside.whole() if outside else differing,
        far.get("max_abs"), far.get("max_rel"), ulp.whole() if ulp else None,
        tuple(each.whole() for each in index) if index else None,
        (sides[0], sides[1]) if len(sides) == 2 else None, _whole(row.get("non_finite")),
        parting=_tokens(row),
    )  # fmt: skip


def _tokens(row: Place) -> TokenParting | None:
    sides = [each.scalar() for each in row.get("candidates") or ()]
    if len(sides) != 2:
        return None
    one, two = (each if isinstance(each, (int, str)) else None for each in sides)
    gap, top = (float(place.number()) if (place := row.get(key)) else None for key in ("gap", "top_gap"))
    sampling = {name: place.scalar() for name, place in _fields(row.get("sampling"))}
    return TokenParting((one, two), gap, top, sampling)


def _divergence(row: Place) -> Divergence:
    kind: Parting = row["kind"].text(*get_args(Parting))  # type: ignore[assignment]
    op, index, location = row["op"].text(), row["index"].whole(), _text(row.get("location"))
    start, random = row.get("start"), row.get("random")
    context = tuple(map(Op, _texts(row.get("context"))))
    other_context = tuple(map(Op, _texts(row.get("other_context"))))
    shorter = "first" if len(context) < len(other_context) else "second"
    return Divergence(
        kind, op, index, location, _text(row.get("forward_location")),
        _text(row.get("other_op")) or ("" if kind == "length" else op),
        _text(row.get("other_location")) or ("" if kind == "length" else location),
        random is not None and random.scalar() is True, shorter if kind == "length" else "",  # type: ignore[arg-type]
        start.whole() if start else index, context, other_context,
    )  # fmt: skip


def _finding(row: Place) -> Finding:
    return Finding(
        row["name"].text(), _text(row.get("location")), _text(row.get("explanation")),
        _text(row.get("fix")), _texts(row.get("ruled_out")),
    )  # fmt: skip


def _baseline(row: Place) -> Baseline:
    options = _text(row.get("options"))
    return Baseline(
        row["path"].text(), row["environment"].text(), _text(row.get("stored")),
        {name: _sides(place) for name, place in _fields(row.get("unlike"))},
        _texts(row.get("differing")), _texts(row.get("untold")), f" {options}" if options else "",
        _text(row.get("broken")),
    )  # fmt: skip


def _sides(place: Place) -> tuple[str, str]:
    found = _texts(place)
    if len(found) != 2:
        raise BadReport(f"{place.where} is a list of {len(found)}, and not what is here and there")
    return found[0], found[1]
