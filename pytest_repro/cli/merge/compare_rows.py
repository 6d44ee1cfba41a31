"""Compares what two shards report of one test, at the level and within the tolerance of its marker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pytest_repro.cli.compare import CompareOptions, ValueMismatch, compare_value
from pytest_repro.cli.merge.shard_report import Part, decode_verdict
from pytest_repro.cli.reported import observe_values, parse_key, read_values
from pytest_repro.core.checked_json import JsonNode
from pytest_repro.core.compare.mismatch import Mismatch, find_outcome_mismatches
from pytest_repro.core.compare.stored_value import StoredValue, compare_statistics, find_other_kind
from pytest_repro.core.compare.verdict import SHARD, WITHOUT_BASELINE, Verdict
from pytest_repro.core.plan.plan import EXACT, Plan
from pytest_repro.core.runs.observation import Key, select_at_level
from pytest_repro.reports.json.rows import verdict_to_row


@dataclass(frozen=True, slots=True)
class RowComparison:
    """What a shard adds to the row of a test that another shard has run too.

    Attributes:
        runs: Its reference run, as rows of the axis ``shard``.
        mismatches: What differs from the first shard, as rows.
        not_compared: Values that cannot be compared, with the reason: ``"x (float32[100]: …)"``.
    """

    runs: list[dict[str, Any]] = field(default_factory=list)
    mismatches: list[dict[str, Any]] = field(default_factory=list)
    not_compared: list[str] = field(default_factory=list)
    values_differ: bool = False  # whether a mismatch is one of values, not only of outcomes


def compare_rows(
    a: JsonNode, a_part: Part, b: JsonNode, b_part: Part, first: str, other: str
) -> RowComparison:
    """Compares row *b*, of a shard called *other*, with row *a* of the shard *first*.

    Raises:
        BadReport: A row is malformed.
    """
    left = decode_verdict(a, a_part.environment, a_part.seed)
    right = decode_verdict(b, b_part.environment, b_part.seed)
    run = replace(
        right.runs[0], axis=SHARD, value=other, setting={}, repeat_of=None,
        environment_diff=diff_environments(a_part.environment, b_part.environment),
    )  # fmt: skip
    skipped = _is_skipped(left) or _is_skipped(right)
    mismatches = [] if skipped else list(find_outcome_mismatches([left.runs[0], run]))
    notes: list[str] = []
    if _has_values(left, a) and _has_values(right, b):
        if left.plan.seed != right.plan.seed:
            notes.append(f"all values (seed {left.plan.seed} in shard {first}, {right.plan.seed} in {other})")
        else:
            ours, theirs = read_values(a["observations"]), read_values(b["observations"])
            mismatches += _compare_values(ours, theirs, left.plan, other, notes)
    mismatches = [replace(mismatch, repeat_of=(SHARD, first)) for mismatch in mismatches]
    row = verdict_to_row("", Verdict("diverged", Plan(), (run,), tuple(mismatches)))
    differ = any(mismatch.problem != "outcome" for mismatch in mismatches)
    return RowComparison(row["runs"], row.get("mismatches", []), notes, differ)


def diff_environments(a: Mapping[str, str], b: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """The fields in which two environments differ, a missing one as ``–``."""
    return {name: pair for name in {**a, **b} if len(set(pair := (a.get(name, "–"), b.get(name, "–")))) > 1}


def _is_skipped(verdict: Verdict) -> bool:
    return verdict.outcome in ("skipped", None) or verdict.runs[0].state != "ran"


def _has_values(verdict: Verdict, row: JsonNode) -> bool:
    """Whether the values of a row are those of every run."""
    agree = verdict.outcome in ("reproduced", *WITHOUT_BASELINE)
    golden = verdict.outcome == "diverged" and verdict.baseline is not None
    return (agree or golden) and row.get("observations") is not None


def _compare_values(
    a: Mapping[str, StoredValue], b: Mapping[str, StoredValue], plan: Plan, other: str, notes: list[str]
) -> Iterator[Mismatch]:
    """A mismatch for each value that differs; adds to *notes* what cannot be compared."""
    options = CompareOptions(plan.tolerance or EXACT)
    for key, (name, left, right) in pair_values(a, b, plan).items():
        found = compare_value(name, left, right, options)
        if found is None or found.close:
            continue
        loose = compare_value(name, left, right, replace(options, use_statistics=True))
        if loose is not None and loose.close:
            assert left is not None
            notes.append(
                f"{name} ({left.kind}: bits differ, and a report has only statistics, which are close)"
            )
            continue
        yield _make_mismatch(found, key, other)


def _make_mismatch(found: ValueMismatch, key: Key, other: str) -> Mismatch:
    a, b = found.a, found.b
    problem: Literal["missing", "kind", "values"] = "values"
    kinds, detail = (a.kind if a else "", b.kind if b else ""), ""
    if a is None or b is None:
        problem, detail = "missing", f"recorded in {'the other' if a is None else 'one'} shard only"
        kinds = (kinds[0] or kinds[1], kinds[1])
    elif (other_kind := find_other_kind(a, b)) is not None:
        problem, kinds = "kind", other_kind[1:]
    elif found.difference is None:
        detail = _describe_statistics(a, b)
    return Mismatch(found.name, *key, SHARD, other, problem, *kinds, found.difference, detail)


def _describe_statistics(a: StoredValue, b: StoredValue) -> str:
    if a.text is not None and b.text is not None:
        return f"{a.text} in one, {b.text} in the other"
    if a.statistics is None or b.statistics is None:
        return "digests differ"
    differing = [
        f"{each.name} {each.a}, then {each.b}" for each in compare_statistics(a.statistics, b.statistics)
    ]
    return "; ".join(["digests differ", *differing[:3]])


def pair_values(
    a: Mapping[str, StoredValue], b: Mapping[str, StoredValue], plan: Plan
) -> dict[Key, tuple[str, StoredValue | None, StoredValue | None]]:
    """The values of two rows that count at the level of *plan*, in pairs, by key, with displayed names."""
    level = plan.level or "bitwise"
    containers = {name for each in (*a.values(), *b.values()) for name, _ in each.containers}
    left, right = ({parse_key(name, containers): name for name in side} for side in (a, b))
    if level != "bitwise":
        reference = select_at_level(level, observe_values(a, left))
        selected = select_at_level(level, observe_values(b, right), reference)
        right = {key: right[observation.key] for key, observation in selected.items()}
        left = {key: left[key] for key in reference}
    return {
        key: (left.get(key) or right[key], a.get(left.get(key, "\0")), b.get(right.get(key, "\0")))
        for key in {**left, **right}
    }
