"""The JSON report, format 1: strict JSON, keys that do not apply are absent."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_repro.core.compare.baseline import Baseline
from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.diagnose.finding import Finding
from pytest_repro.core.golden.value_summary import ValueSummary
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.run import Run
from pytest_repro.core.trace.divergence import Divergence
from pytest_repro.reports.json import FORMAT
from pytest_repro.reports.json.values import value_to_row


def _drop_absent(row: dict[str, Any]) -> dict[str, Any]:
    """*row* without what does not apply: None, and numbers that JSON has no word for."""

    def is_present(value: Any) -> bool:
        return value is not None and not (isinstance(value, float) and not math.isfinite(value))

    return {key: value for key, value in row.items() if is_present(value)}


def verdict_to_row(
    nodeid: str, verdict: Verdict, stored_values: Iterable[ValueSummary] = ()
) -> dict[str, Any]:
    """One test of the report, as plain data.

    Args:
        nodeid: pytest's own node id.
        verdict: What followed from its runs.
        stored_values: What its reference run observed, to be compared on another machine.
    """
    row = {
        "nodeid": nodeid,
        "verdict": verdict.outcome,
        "seconds": round(verdict.seconds, 6),
        "plan": _plan_to_row(verdict.plan),
        "runs": [_drop_absent(_run_to_row(run)) for run in verdict.runs],
        "mismatches": [_mismatch_to_row(each) for each in verdict.mismatches] or None,
        "divergence": _divergence_to_row(verdict.divergence) if verdict.divergence else None,
        "cause": _finding_to_row(verdict.cause) if verdict.cause else None,
        "steps": dict(verdict.steps) or None,
        "passed_over": list(verdict.unobserved_locals) or None,
        "observations": [value_to_row(each) for each in stored_values] or None,
        "baseline": _baseline_to_row(verdict.baseline) if verdict.baseline else None,
        "level": {"asked": verdict.level.requested, "reached": verdict.level.reached}
        if verdict.level
        else None,
    }
    return _drop_absent(row)


def _baseline_to_row(baseline: Baseline) -> dict[str, Any]:
    row = {
        "path": baseline.path,
        "environment": baseline.environment_key,
        "stored": baseline.stored_key or None,
        "unlike": {name: list(sides) for name, sides in baseline.environment_diff.items()} or None,
        "differing": list(baseline.differing) or None,
        "untold": list(baseline.uncompared) or None,
        "options": baseline.options.strip() or None,
        "broken": baseline.read_error or None,
    }
    return _drop_absent(row)


def _plan_to_row(plan: Plan) -> dict[str, Any]:
    """What was asked, where it is not what is asked of every test."""
    row: dict[str, Any] = {"runs": plan.runs, "seed": plan.seed}
    if plan.tolerance is not None:
        row |= {"rtol": plan.tolerance.rtol, "atol": plan.tolerance.atol}
    if plan.deterministic is not True:
        row["deterministic"] = plan.deterministic
    if plan.capture != "auto":
        row["capture"] = plan.capture
    if plan.level is not None:
        row["level"] = plan.level
    if plan.audit:
        row["audit"] = True
    if plan.vary:
        row["vary"] = {each.axis: list(each.values) for each in plan.vary}
    if plan.ranks:
        row["ranks"] = plan.ranks
    return row


def _divergence_to_row(divergence: Divergence) -> dict[str, Any]:
    row = {
        "kind": divergence.kind,
        "op": divergence.op,
        "index": divergence.index,
        "location": divergence.location or None,
        "forward_location": divergence.forward_location or None,
        "other_op": (divergence.other_op if divergence.other_op != divergence.op else "") or None,
        "other_location": (
            divergence.other_location if divergence.other_location != divergence.location else ""
        )
        or None,
        "random": divergence.random or None,
        "start": divergence.context_start if divergence.context or divergence.other_context else None,
        "context": [op.name for op in divergence.context] or None,
        "other_context": [op.name for op in divergence.other_context] or None,
    }
    return _drop_absent(row)


def _finding_to_row(finding: Finding) -> dict[str, Any]:
    return _drop_absent(
        {
            "name": finding.name,
            "location": finding.location or None,
            "explanation": finding.explanation,
            "fix": finding.fix or None,
            "ruled_out": list(finding.ruled_out),
        }
    )


def _run_to_row(run: Run) -> dict[str, Any]:
    return {
        "axis": run.axis,
        "value": run.value,
        "outcome": run.outcome,
        "seconds": round(run.seconds, 6),
        "observations": run.observation_count,
        "setting": dict(run.setting) or None,
        "at": {run.repeat_of[0]: run.repeat_of[1]} if run.repeat_of else None,
        "reason": run.error if run.state != "ran" else None,
        "error": (run.error if run.state == "ran" else "") or None,
        "traceback": run.traceback or None,
        "drew": run.drew_on_axis or None,
        "environment": {name: there for name, (_, there) in run.environment_diff.items()} or None,
        "beyond": list(run.past_log) or None,
    }


def _mismatch_to_row(mismatch: Mismatch) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": mismatch.name,
        "series": mismatch.series if mismatch.series != mismatch.name else None,
        "step": mismatch.step or None,
        "path": mismatch.path or None,
        "axis": mismatch.axis,
        "value": mismatch.value,
        "kind": mismatch.kind or None,
        "other_kind": mismatch.other_kind if mismatch.other_kind != mismatch.kind else None,
        "at": {mismatch.repeat_of[0]: mismatch.repeat_of[1]} if mismatch.repeat_of else None,
        "problem": mismatch.problem,
        "detail": mismatch.detail or None,
    }
    found = mismatch.difference
    if found is not None:
        row |= {
            "differing": found.differing,
            "total": found.total,
            "outside": found.outside_tolerance if found.outside_tolerance != found.differing else None,
            "non_finite": found.non_finite or None,
            "max_abs": found.max_abs,
            "max_rel": found.max_rel,
            "max_ulp": found.max_ulp,
            "first_index": None if found.first_index is None else list(found.first_index),
            "first_values": None if found.first_values is None else list(found.first_values),
        }
    if found is not None and found.token_divergence is not None:
        row |= {
            "candidates": list(found.token_divergence.candidates),
            "gap": found.token_divergence.gap,
            "top_gap": found.token_divergence.top_gap,
            "sampling": dict(found.token_divergence.sampling) or None,
        }
    return _drop_absent(row)


def build_report(
    tests: Iterable[Mapping[str, Any]], seed: int, environment: Mapping[str, str]
) -> dict[str, Any]:
    """The whole report as plain data.

    Args:
        tests: Rows of :func:`verdict_to_row`.
        seed: The seed of the session.
        environment: What else could change a result, by name.
    """
    rows = list(tests)
    counts = Counter(row["verdict"] for row in rows if "verdict" in row)
    return {
        "format": FORMAT,
        "environment": dict(environment),
        "seed": seed,
        "summary": dict(sorted(counts.items())),
        "tests": rows,
    }


def encode_report(report: Mapping[str, Any]) -> Iterator[str]:
    """*report* as strict JSON, in pieces: a line for each key, but for an observation one line in all.

    10,000 steps of a loss take 1.3 MB and as many lines so; with a line for each key 1.7 MB and 60,000.
    """
    tests = list(report["tests"])
    head = {key: value for key, value in report.items() if key != "tests"}
    yield _dump({**head, "tests": []}).rpartition("[]")[0] + "["
    for number, test in enumerate(tests):
        rows = test.get("observations", ())
        told = _dump({key: value for key, value in test.items() if key != "observations"})
        told = "\n".join(f"  {line}" for line in told.splitlines())
        yield f"{',' if number else ''}\n{told[:-4] if rows else told}"
        if rows:
            yield ',\n   "observations": [\n    '
            yield ",\n    ".join(_dump(row, indent=None) for row in rows)
            yield "\n   ]\n  }"
    yield "\n ]\n}\n" if tests else "]\n}\n"


def _dump(value: object, indent: int | None = 1) -> str:
    return json.dumps(value, indent=indent, allow_nan=False, ensure_ascii=False)


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    """Writes *report* to *path*, making its folder where there is none.

    Raises:
        OSError: The file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", errors="backslashreplace") as file:
        file.writelines(encode_report(report))
