"""Tests as rows of the JSON report, format 1, and back: one table of keys for both directions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal

from pytest_repro.axes import list_axis_names, make_axis_values
from pytest_repro.core.checked_json import BadJson, JsonNode
from pytest_repro.core.codec import Codec, Field
from pytest_repro.core.compare.mismatch import Difference, Mismatch, TokenDivergence
from pytest_repro.core.compare.stored_value import MAX_VALUES, StoredValue
from pytest_repro.core.compare.verdict import BASELINE, SHARD, VERDICT_OUTCOMES, Baseline, Verdict
from pytest_repro.core.diagnose import Finding
from pytest_repro.core.plan.plan import REPEAT, AxisValues, Plan
from pytest_repro.core.runs.observation import LevelResult
from pytest_repro.core.runs.run import Run
from pytest_repro.core.trace.divergence import Divergence, Receipt
from pytest_repro.core.trace.trace import Op


def _check_axis(node: JsonNode, name: str) -> str:
    if name not in (REPEAT, BASELINE, SHARD, *list_axis_names()):
        node.refuse(f"is of the unknown axis {name!r}")
    return name


def _read_setting(node: JsonNode) -> dict[str, object]:
    return {_check_axis(value, axis): value.as_scalar() for axis, value in node.items()}


def _read_axis_values(node: JsonNode, name: str) -> AxisValues:
    return make_axis_values(_check_axis(node, name), tuple(value.as_scalar() for value in node))


def _distance(name: str) -> Field:
    """A number that is absent if it is not finite."""
    return Field(
        name, encode=lambda value: value if math.isfinite(value) else None, decode=JsonNode.as_finite
    )


def _op_names(name: str) -> Field:
    return Field(
        name,
        default=(),
        encode=lambda ops: [op.name for op in ops],
        decode=lambda node: tuple(Op(each.as_text()) for each in node),
    )


_AXIS = Field("axis", decode=lambda node: _check_axis(node, node.as_text()))
_REPEAT_OF = Field(
    "repeat_of", "at",
    encode=lambda cell: {cell[0]: cell[1]},
    decode=lambda node: next(iter(_read_setting(node).items()), None),
)  # fmt: skip

_RUN = (
    _AXIS, "value", "outcome",
    Field("seconds", encode=lambda seconds: round(seconds, 6), decode=JsonNode.as_finite, always=True),
    Field("observation_count", "observations", always=True),
    Field("setting", decode=_read_setting),
    _REPEAT_OF, "error", "traceback",
    Field("drew_on_axis", "drew"),
    Field(
        "environment_diff", "environment",
        encode=lambda diff: {name: there for name, (_, there) in diff.items()},
        decode=lambda node: {name: ("?", there) for name, there in node.as_str_mapping().items()},
    ),
    Field("past_log", "beyond"),
    "made_folders",
)  # fmt: skip

_CODEC = Codec(
    {
        Verdict: (
            "plan", "runs", "mismatches",
            Field("divergence", encode=lambda divergence: _divergence_to_row(divergence)),
            "causes",
            Field(
                "diagnosis_seconds", encode=lambda seconds: round(seconds, 6), decode=JsonNode.as_finite
            ),
            "undiagnosed", "steps",
            Field("uncounted", "passed_over"),
            Field("not_compared", encode=list, decode=lambda node: {each.as_text(): "" for each in node}),
            "baseline", "level", "agreeing", "tables",
        ),
        Plan: (
            Field("runs", decode=lambda node: node.as_int(1), always=True),
            Field("seed", decode=JsonNode.as_int, always=True),
            Field("tolerance", inline=True),
            "deterministic", "capture", "level", "audit",
            Field(
                "vary",
                encode=lambda vary: {each.axis: list(each.values) for each in vary},
                decode=lambda node: tuple(_read_axis_values(values, name) for name, values in node.items()),
            ),
            "ranks",
        ),
        Run: _RUN,
        Mismatch: (
            "name",
            Field("series", same_as="name"), Field("step", default=0), Field("path", default=""),
            _AXIS, "value", "kind",
            Field("other_kind", same_as="kind"),
            _REPEAT_OF, "problem", "detail",
            Field("difference", inline=True),
        ),
        Difference: (
            "differing", "total",
            Field("outside_tolerance", "outside", same_as="differing"),
            "non_finite",
            _distance("max_abs"),
            _distance("max_rel"),
            "max_ulp", "first_index", "first_values",
            Field("token_divergence", inline=True),
        ),
        TokenDivergence: ("candidates", _distance("gap"), _distance("top_gap"), "sampling"),
        Divergence: (
            "kind", "op", "index",
            Field("location", default=""), Field("forward_location", default=""),
            Field("other_op", default="", same_as="op"),
            Field("other_location", default="", same_as="location"), Field("random", default=False),
            Field("context_start", "start", same_as="index", always=True),
            _op_names("context"), _op_names("other_context"), "rank", "received",
            Field("others", encode=lambda each: [*map(_divergence_to_row, each)],
                  decode=lambda node: tuple(map(_divergence_from_row, node))),
        ),
        Receipt: ("rank", Field("senders", "from"), "op", Field("position", "index"), "location"),
        Finding: (
            "name", "location", Field("explanation", always=True), "fix",
            Field("ruled_out", always=True), "seen",
        ),
        Baseline: (
            "path",
            Field("environment_key", "environment"),
            Field("stored_key", "stored"),
            Field("environment_diff", "unlike"),
            "differing", "sweep", "lacks_sweep",
            Field("uncompared", "untold"),
            Field("options", encode=str.strip, decode=lambda node: f" {node.as_text()}"),
            Field("read_error", "broken"),
        ),
        LevelResult: (Field("requested", "asked"), "reached"),
        StoredValue: ("name", "kind", "digest", "values", "text", "statistics", "containers"),
    },
    strict=False,
)  # fmt: skip
_UNMADE_RUN_CODEC = Codec(
    {Run: [Field("error", "reason", always=True) if each == "error" else each for each in _RUN]}, strict=False
)


def verdict_to_row(
    nodeid: str, verdict: Verdict, stored_values: Iterable[StoredValue] = ()
) -> dict[str, Any]:
    """One test of the report, as plain data; keys that do not apply are absent.

    *stored_values* are those of its reference run, to be compared on another machine.
    """
    row: dict[str, Any] = {"nodeid": nodeid} | ({"verdict": verdict.outcome} if verdict.outcome else {})
    row |= {"seconds": round(verdict.seconds, 6)} | _CODEC.encode(verdict)
    if verdict.causes:
        row["cause"] = row["causes"][0]
    if verdict.baseline is not None and (names := list(verdict.baseline.environment_diff)):
        row["baseline"]["environment_differs"] = names
    row["runs"] = [(_CODEC if run.state == "ran" else _UNMADE_RUN_CODEC).encode(run) for run in verdict.runs]
    values = [_CODEC.encode(value) for value in stored_values]
    return row | ({"observations": values} if values else {})


def _divergence_to_row(divergence: Divergence) -> dict[str, Any]:
    row: dict[str, Any] = _CODEC.encode(divergence)
    if not (divergence.context or divergence.other_context):
        del row["start"]
    return row


def verdict_from_row(row: JsonNode, environment: Mapping[str, str], seed: int) -> Verdict:
    """The verdict that :func:`verdict_to_row` made *row* of.

    *environment* and *seed* are those of the report: rows of runs elsewhere only have what differs.

    Raises:
        BadJson: *row* does not fit; the message says where.
    """
    word: Any = verdict.as_text(*VERDICT_OUTCOMES) if (verdict := row.get("verdict")) else None
    runs = tuple(_run_from_row(run, environment) for run in row["runs"])
    if not runs:
        row.refuse("has no runs")
    if (node := row.get("plan")) is not None:
        plan = _CODEC.decode(Plan, node)
    else:  # a report of version 0.1.0
        plan = Plan(sum(run.axis == REPEAT and run.repeat_of is None for run in runs), seed)
    mismatches = tuple(_CODEC.decode(Mismatch, _check_cell(each)) for each in row.get("mismatches") or ())
    divergence = _divergence_from_row(node) if (node := row.get("divergence")) else None
    made = _CODEC.decode(
        Verdict, row, outcome=word, plan=plan, runs=runs, mismatches=mismatches, divergence=divergence
    )
    if made.causes or (first := row.get("cause")) is None:
        return made
    return replace(made, causes=(_CODEC.decode(Finding, first),))  # a report of version 0.1.0


def _check_cell(row: JsonNode) -> JsonNode:
    if row["axis"].value == REPEAT:
        row["value"].as_int()
    return row


def _run_from_row(row: JsonNode, environment: Mapping[str, str]) -> Run:
    unmade = row.get("reason") is not None
    run = (_UNMADE_RUN_CODEC if unmade else _CODEC).decode(Run, _check_cell(row))
    return replace(
        run,
        state="ran" if not unmade else "absent" if run.outcome == "skipped" else "lost",
        environment_diff={
            n: (environment.get(n, "?"), there) for n, (_, there) in run.environment_diff.items()
        },
    )


def _divergence_from_row(row: JsonNode) -> Divergence:
    divergence = _CODEC.decode(Divergence, row, ended_trace="")
    if divergence.kind != "length":
        return divergence
    first_is_shorter = len(divergence.context) < len(divergence.other_context)
    ended_trace: Literal["first", "second"] = "first" if first_is_shorter else "second"
    return replace(divergence, other_op="", other_location="", ended_trace=ended_trace)


def value_from_row(row: JsonNode) -> StoredValue:
    """The value of a row in ``"observations"``.

    Raises:
        BadJson: *row* does not fit; the message says where.
    """
    value = _CODEC.decode(StoredValue, row)
    if value.values is not None and len(value.values) > MAX_VALUES:
        raise BadJson(f"{row.location} has {len(value.values)} values, more than {MAX_VALUES}")
    return value
