"""Locates a cause by the first line or op at which runs diverged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pytest_repro.core.diagnose import Finding
from pytest_repro.core.trace.divergence import Divergence, LineDivergence, LineStep, find_line_divergence


def locate_by_line(finding: Finding, steps: Sequence[Sequence[LineStep]]) -> Finding:
    """*finding* with the line at which two runs first diverged."""
    line = find_line_divergence(*steps) if len(steps) == 2 else LineDivergence()
    if not line.location:
        return finding
    note = f"the runs first diverged at {line.location}" + (f", in {line.name}" if line.name else "")
    return replace(
        finding, location=finding.location or line.location, explanation=f"{finding.explanation}; {note}"
    )


def locate_by_op(finding: Finding, divergence: Divergence | None) -> Finding:
    """*finding* with the location of the first op that diverged, unless it has a location."""
    if finding.location or divergence is None:
        return finding
    return replace(finding, location=divergence.forward_location or divergence.location)


def is_before_ops(divergence: Divergence | None) -> bool:
    """Whether runs diverged before any op did: in an input of torch, or in what was recorded."""
    return divergence is None or divergence.kind == "input" or divergence.op.startswith("record ")
