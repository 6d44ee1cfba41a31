"""A test's row of the JSON report, made into the records again that it was written from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from pytest_repro.axes import get_axis, list_axis_names
from pytest_repro.core.compare.baseline import BASELINE, Baseline
from pytest_repro.core.compare.difference import Difference
from pytest_repro.core.compare.mismatch import Mismatch, Problem
from pytest_repro.core.compare.verdict import VERDICT_OUTCOMES, Verdict
from pytest_repro.core.diagnose.finding import Finding
from pytest_repro.core.plan.cell import REPEAT, AxisValues
from pytest_repro.core.plan.level import LEVELS, LevelResult
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.plan.tolerance import Tolerance
from pytest_repro.core.runs.run import Outcome, Run
from pytest_repro.core.runs.token_sequence import TokenDivergence as TokenParting
from pytest_repro.core.trace.divergence import Divergence, DivergenceKind
from pytest_repro.core.trace.trace import Op
from pytest_repro.reports.json.checked import BadReport, JsonNode


def verdict_from_row(row: JsonNode, environment: Mapping[str, str], seed: int) -> Verdict:
    """The verdict that :func:`~pytest_repro.reports.json.write.verdict_to_row` made *row* of.

    Args:
        row: Of one test.
        environment: Of the report: runs elsewhere tell only what was not the same there.
        seed: Of the report.

    Raises:
        BadReport: Something in it does not fit; says where.
    """
    runs = tuple(_run_from_row(each, environment) for each in row["runs"])
    if not runs:
        raise BadReport(f"{row.location} has no runs")
    divergence, cause = row.get("divergence"), row.get("cause")
    told = row.get("verdict")  # none of a test that ran once
    word: Any = told.as_text(*VERDICT_OUTCOMES) if told else None
    return Verdict(
        word,
        _plan_from_row(row.get("plan"), runs, seed),
        runs,
        tuple(map(_mismatch_from_row, row.get("mismatches") or ())),
        {name: steps.as_int(1) for name, steps in _read_fields(row.get("steps"))},
        _read_texts(row.get("passed_over")),
        _divergence_from_row(divergence) if divergence else None,
        _finding_from_row(cause) if cause else None,
        _baseline_from_row(stored) if (stored := row.get("baseline")) else None,
        level=_level_result_from_row(row.get("level")),
    )


def _level_result_from_row(row: JsonNode | None) -> LevelResult | None:
    if row is None:
        return None
    asked: Any = row["asked"].as_text(*LEVELS)
    reached: Any = row["reached"].as_text(*LEVELS, "none")
    return LevelResult(asked, reached)


def _read_fields(node: JsonNode | None) -> list[tuple[str, JsonNode]]:
    return list(node.items()) if node else []


def _read_texts(node: JsonNode | None) -> tuple[str, ...]:
    return tuple(each.as_text() for each in node or ())


def _read_text(node: JsonNode | None, *allowed: str) -> str:
    return node.as_text(*allowed) if node else ""


def _read_int(node: JsonNode | None) -> int:
    return node.as_int() if node else 0


def _check_axis(node: JsonNode, name: str) -> str:
    if name not in (REPEAT, BASELINE, *list_axis_names()):
        raise BadReport(f"{node.location} is of the axis {name!r}, which is not known here")
    return name


def _cell_from_row(row: JsonNode) -> tuple[str, object]:
    axis = _check_axis(row, row["axis"].as_text())
    return axis, row["value"].as_int() if axis == REPEAT else row["value"].as_scalar()


def _read_repeat_of(node: JsonNode | None) -> tuple[str, object] | None:
    return next(((_check_axis(value, axis), value.as_scalar()) for axis, value in _read_fields(node)), None)


def _run_from_row(row: JsonNode, environment: Mapping[str, str]) -> Run:
    axis, value = _cell_from_row(row)
    reason = row.get("reason")
    outcome: Outcome = row["outcome"].as_text(*get_args(Outcome))  # type: ignore[assignment]
    there = row.get("environment")
    drew, setting = row.get("drew"), _read_fields(row.get("setting"))
    return Run(
        axis,
        value,
        outcome,
        row["seconds"].as_number(),
        row["observations"].as_int(),
        error=_read_text(reason or row.get("error")),
        traceback=_read_text(row.get("traceback")),
        setting={_check_axis(place, name): place.as_scalar() for name, place in setting},
        repeat_of=_read_repeat_of(row.get("at")),
        state="ran" if reason is None else "absent" if outcome == "skipped" else "lost",
        drew_on_axis=drew is not None and drew.as_scalar() is True,
        environment_diff={
            name: (environment.get(name, "?"), place.as_text()) for name, place in _read_fields(there)
        },
        past_log=_read_texts(row.get("beyond")),
    )


def _plan_from_row(row: JsonNode | None, runs: tuple[Run, ...], seed: int) -> Plan:
    if row is None:  # a report of version 0.1.0
        return Plan(sum(run.axis == REPEAT and run.repeat_of is None for run in runs), seed)
    rtol, atol, audit = row.get("rtol"), row.get("atol"), row.get("audit")
    capture: Any = _read_text(row.get("capture"), "auto", "recorded", "locals") or "auto"
    level: Any = _read_text(row.get("level"), *LEVELS) or None
    return Plan(
        row["runs"].as_int(1), row["seed"].as_int(),
        Tolerance(float(rtol.as_number()), float(atol.as_number())) if rtol and atol else None,
        capture=capture, level=level, audit=audit is not None and audit.as_scalar() is True,
        vary=tuple(_axis_values_from_row(place, name) for name, place in _read_fields(row.get("vary"))),
    )  # fmt: skip


def _axis_values_from_row(node: JsonNode, name: str) -> AxisValues:
    axis, values = get_axis(_check_axis(node, name)), tuple(each.as_scalar() for each in node)
    return AxisValues(name, values, axis.remote, axis.close_by_default, axis.mixes_dtypes)


def _mismatch_from_row(row: JsonNode) -> Mismatch:
    axis, value = _cell_from_row(row)
    problem: Problem = row["problem"].as_text(*get_args(Problem))  # type: ignore[assignment]
    name, kind = row["name"].as_text(), _read_text(row.get("kind"))
    other = row.get("other_kind")  # absent where it is the same
    return Mismatch(
        name,
        _read_text(row.get("series")) or name,
        _read_int(row.get("step")),
        _read_text(row.get("path")),
        axis,
        value,
        problem,
        kind,
        other.as_text() if other else kind,
        _difference_from_row(row) if row.get("total") else None,
        _read_text(row.get("detail")),
        _read_repeat_of(row.get("at")),
    )


def _difference_from_row(row: JsonNode) -> Difference:
    differing, sides = row["differing"].as_int(), _read_texts(row.get("first_values"))
    far = {key: float(place.as_number()) for key in ("max_abs", "max_rel") if (place := row.get(key))}
    outside, ulp, index = row.get("outside"), row.get("max_ulp"), row.get("first_index")
    return Difference(
        differing, row["total"].as_int(), outside.as_int() if outside else differing,
        far.get("max_abs"), far.get("max_rel"), ulp.as_int() if ulp else None,
        tuple(each.as_int() for each in index) if index else None,
        (sides[0], sides[1]) if len(sides) == 2 else None, _read_int(row.get("non_finite")),
        token_divergence=_token_divergence_from_row(row),
    )  # fmt: skip


def _token_divergence_from_row(row: JsonNode) -> TokenParting | None:
    sides = [each.as_scalar() for each in row.get("candidates") or ()]
    if len(sides) != 2:
        return None
    one, two = (each if isinstance(each, (int, str)) else None for each in sides)
    gap, top = (float(place.as_number()) if (place := row.get(key)) else None for key in ("gap", "top_gap"))
    sampling = {name: place.as_scalar() for name, place in _read_fields(row.get("sampling"))}
    return TokenParting((one, two), gap, top, sampling)


def _divergence_from_row(row: JsonNode) -> Divergence:
    kind: DivergenceKind = row["kind"].as_text(*get_args(DivergenceKind))  # type: ignore[assignment]
    op, index, location = row["op"].as_text(), row["index"].as_int(), _read_text(row.get("location"))
    start, random = row.get("start"), row.get("random")
    context = tuple(map(Op, _read_texts(row.get("context"))))
    other_context = tuple(map(Op, _read_texts(row.get("other_context"))))
    shorter = "first" if len(context) < len(other_context) else "second"
    return Divergence(
        kind, op, index, location, _read_text(row.get("forward_location")),
        _read_text(row.get("other_op")) or ("" if kind == "length" else op),
        _read_text(row.get("other_location")) or ("" if kind == "length" else location),
        random is not None and random.as_scalar() is True, shorter if kind == "length" else "",  # type: ignore[arg-type]
        start.as_int() if start else index, context, other_context,
    )  # fmt: skip


def _finding_from_row(row: JsonNode) -> Finding:
    return Finding(
        row["name"].as_text(), _read_text(row.get("location")), _read_text(row.get("explanation")),
        _read_text(row.get("fix")), _read_texts(row.get("ruled_out")),
    )  # fmt: skip


def _baseline_from_row(row: JsonNode) -> Baseline:
    options = _read_text(row.get("options"))
    return Baseline(
        row["path"].as_text(), row["environment"].as_text(), _read_text(row.get("stored")),
        {name: _read_pair(place) for name, place in _read_fields(row.get("unlike"))},
        _read_texts(row.get("differing")), _read_texts(row.get("untold")), f" {options}" if options else "",
        _read_text(row.get("broken")),
    )  # fmt: skip


def _read_pair(node: JsonNode) -> tuple[str, str]:
    found = _read_texts(node)
    if len(found) != 2:
        raise BadReport(f"{node.location} is a list of {len(found)}, and not what is here and there")
    return found[0], found[1]
