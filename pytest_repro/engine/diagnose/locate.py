"""Places a cause by the first line that parted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pytest_repro.core.diagnose.finding import Finding
from pytest_repro.core.trace.divergence import Divergence
from pytest_repro.core.trace.line_steps import LineDivergence, LineStep, find_line_divergence

LOCATED_BY_LINE = ("shared-state", "address-order", "hash-seed", "process", "unknown", "completion-order")
"""Causes that no call and no op gives away: they are placed by the first line that parted."""


def locate_by_line(finding: Finding, steps: Sequence[Sequence[LineStep]]) -> Finding:
    """*finding* with the line at which two runs first parted."""
    parted = find_line_divergence(*steps) if len(steps) == 2 else LineDivergence()
    if not parted.location:
        return finding
    told = f"the runs first parted at {parted.location}" + (f", in {parted.name}" if parted.name else "")
    return replace(
        finding, location=finding.location or parted.location, explanation=f"{finding.explanation}; {told}"
    )


def locate_by_op(finding: Finding, divergence: Divergence | None) -> Finding:
    """*finding* with the place of the first op that parted, where it has none of its own."""
    if finding.location or divergence is None:
        return finding
    return replace(finding, location=divergence.forward_location or divergence.location)


def is_before_ops(divergence: Divergence | None) -> bool:
    """Whether it parted at a line before any op did: in what was recorded, or came into torch."""
    return divergence is None or divergence.kind == "input" or divergence.op.startswith("record ")
