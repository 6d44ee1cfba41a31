"""The JSON report, format 1: strict JSON, keys that do not apply are absent."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.diagnose.finding import Finding
from pytest_repro.core.golden.golden import Baseline
from pytest_repro.core.golden.value_summary import Account
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.run import Run
from pytest_repro.core.trace.divergence import Divergence
from pytest_repro.reports import FORMAT
from pytest_repro.reports.json.values import observation_row


def _present(row: dict[str, Any]) -> dict[str, Any]:
    """*row* without what does not apply: None, and numbers that JSON has no word for."""

    def speaks(value: Any) -> bool:
        return value is not None and not (isinstance(value, float) and not math.isfinite(value))

    return {key: value for key, value in row.items() if speaks(value)}


def row_of(nodeid: str, verdict: Verdict, observed: Iterable[Account] = ()) -> dict[str, Any]:
    """One test of the report, as plain data.

    Args:
        nodeid: pytest's own node id.
        verdict: What followed from its runs.
        observed: What its reference run observed, to be compared on another machine.
    """
    row = {
        "nodeid": nodeid,
        "verdict": verdict.word,
        "seconds": round(verdict.seconds, 6),
        "plan": _plan_row(verdict.plan),
        "runs": [_present(_run_row(run)) for run in verdict.runs],
        "mismatches": [_mismatch_row(each) for each in verdict.mismatches] or None,
        "divergence": _divergence_row(verdict.divergence) if verdict.divergence else None,
        "cause": _cause_row(verdict.finding) if verdict.finding else None,
        "steps": dict(verdict.steps) or None,
        "passed_over": list(verdict.passed_over) or None,
        "observations": [observation_row(each) for each in observed] or None,
        "baseline": _baseline_row(verdict.baseline) if verdict.baseline else None,
        "level": verdict.level._asdict() if verdict.level else None,
    }
    return _present(row)


def _baseline_row(found: Baseline) -> dict[str, Any]:
    row = {
        "path": found.path,
        "environment": found.key,
        "stored": found.stored or None,
        "unlike": {name: list(sides) for name, sides in found.unlike.items()} or None,
        "differing": list(found.differing) or None,
        "untold": list(found.untold) or None,
        "options": found.options.strip() or None,
        "broken": found.broken or None,
    }
    return _present(row)


def _plan_row(plan: Plan) -> dict[str, Any]:
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


def _divergence_row(found: Divergence) -> dict[str, Any]:
    row = {
        "kind": found.kind,
        "op": found.op,
        "index": found.index,
        "location": found.location or None,
        "forward_location": found.forward_location or None,
        "other_op": (found.other_op if found.other_op != found.op else "") or None,
        "other_location": (found.other_location if found.other_location != found.location else "") or None,
        "random": found.random or None,
        "start": found.start if found.context or found.other_context else None,
        "context": [op.name for op in found.context] or None,
        "other_context": [op.name for op in found.other_context] or None,
    }
    return _present(row)


def _cause_row(found: Finding) -> dict[str, Any]:
    return _present(
        {
            "name": found.name,
            "location": found.location or None,
            "explanation": found.explanation,
            "fix": found.fix or None,
            "ruled_out": list(found.ruled_out),
        }
    )


def _run_row(run: Run) -> dict[str, Any]:
    return {
        "axis": run.axis,
        "value": run.value,
        "outcome": run.outcome,
        "seconds": round(run.seconds, 6),
        "observations": run.observations,
        "setting": dict(run.setting) or None,
        "at": {run.at[0]: run.at[1]} if run.at else None,
        "reason": run.error if run.state != "ran" else None,
        "error": (run.error if run.state == "ran" else "") or None,
        "traceback": run.traceback or None,
        "drew": run.drew or None,
        "environment": {name: there for name, (_, there) in run.unlike.items()} or None,
        "beyond": list(run.beyond) or None,
    }


def _mismatch_row(mismatch: Mismatch) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": mismatch.name,
        "series": mismatch.series if mismatch.series != mismatch.name else None,
        "step": mismatch.step or None,
        "path": mismatch.path or None,
        "axis": mismatch.axis,
        "value": mismatch.value,
        "kind": mismatch.kind or None,
        "other_kind": mismatch.other_kind if mismatch.other_kind != mismatch.kind else None,
        "at": {mismatch.at[0]: mismatch.at[1]} if mismatch.at else None,
        "problem": mismatch.problem,
        "detail": mismatch.detail or None,
    }
    found = mismatch.difference
    if found is not None:
        row |= {
            "differing": found.differing,
            "total": found.total,
            "outside": found.outside if found.outside != found.differing else None,
            "non_finite": found.non_finite or None,
            "max_abs": found.max_abs,
            "max_rel": found.max_rel,
            "max_ulp": found.max_ulp,
            "first_index": None if found.first_index is None else list(found.first_index),
            "first_values": None if found.first_values is None else list(found.first_values),
        }
    if found is not None and found.parting is not None:
        row |= {
            "candidates": list(found.parting.candidates),
            "gap": found.parting.gap,
            "top_gap": found.parting.top_gap,
            "sampling": dict(found.parting.sampling) or None,
        }
    return _present(row)


def content(tests: Iterable[Mapping[str, Any]], seed: int, environment: Mapping[str, str]) -> dict[str, Any]:
    """The whole report as plain data.

    Args:
        tests: Rows of :func:`row_of`.
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


def written(report: Mapping[str, Any]) -> Iterator[str]:
    """*report* as strict JSON, in pieces: a line for each key, but for an observation one line in all.

    10,000 steps of a loss take 1.3 MB and as many lines so; with a line for each key 1.7 MB and 60,000.
    """
    tests = list(report["tests"])
    head = {key: value for key, value in report.items() if key != "tests"}
    yield _dumped({**head, "tests": []}).rpartition("[]")[0] + "["
    for number, test in enumerate(tests):
        rows = test.get("observations", ())
        told = _dumped({key: value for key, value in test.items() if key != "observations"})
        told = "\n".join(f"  {line}" for line in told.splitlines())
        yield f"{',' if number else ''}\n{told[:-4] if rows else told}"
        if rows:
            yield ',\n   "observations": [\n    '
            yield ",\n    ".join(_dumped(row, indent=None) for row in rows)
            yield "\n   ]\n  }"
    yield "\n ]\n}\n" if tests else "]\n}\n"


def _dumped(value: object, indent: int | None = 1) -> str:
    return json.dumps(value, indent=indent, allow_nan=False, ensure_ascii=False)


def write(path: Path, report: Mapping[str, Any]) -> None:
    """Writes *report* to *path*, making its folder where there is none.

    Raises:
        OSError: The file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", errors="backslashreplace") as file:
        file.writelines(written(report))
