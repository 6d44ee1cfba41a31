"""Findings: what suspects explain, where runs diverged, or why no cause was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from pytest_repro.causes import get_cause, list_cause_names
from pytest_repro.causes._suspension import split_suspect
from pytest_repro.causes.unknown import explain_rarity
from pytest_repro.core.diagnose.evidence import Evidence
from pytest_repro.core.diagnose.finding import Change, Finding
from pytest_repro.core.trace.divergence import Divergence
from pytest_repro.core.trace.line_steps import LineStep, find_line_divergence
from pytest_repro.engine.diagnose import ExperimentFailed

_MAX_LISTED = 3


def get_cause_name(suspect: str) -> str:
    """The cause word of a suspect: ``"nondeterministic-op"`` of ``"nondeterministic-op:threads"``."""
    return suspect.partition(":")[0]


def describe_suspension(suspect: str) -> str:
    """What suspending it is called."""
    cause, variant = split_suspect(suspect)
    return cause.suspension_names.get(variant, f"{cause.name} suspended")


def rank_suspects(evidence: Evidence) -> list[str]:
    """What can have made runs of one process differ, in the order in which to suspend it."""
    candidates = [cause for cause in map(get_cause, list_cause_names()) if cause.is_candidate(evidence)]
    candidates.sort(key=lambda cause: cause.rank(evidence))
    return [
        f"{cause.name}:{variant}" if variant else cause.name
        for cause in candidates
        for variant in cause.variants
    ]


def build_finding(suspects: Sequence[str], evidence: Evidence, note: str = "") -> Finding:
    """The finding that *suspects* made the difference, together if there are several.

    Args:
        suspects: The first is the cause, the others are named in its explanation.
        evidence: What was known before.
        note: What the experiment adds to the explanation.
    """
    first, *others = suspects
    cause, variant = split_suspect(first)
    finding = cause.build_finding(evidence, variant, note)
    if not others:
        return finding
    also = [cause.build_finding(evidence, variant) for cause, variant in map(split_suspect, others)]
    names = "; and ".join(f"{each.name}{f' at {each.location}' if each.location else ''}" for each in also)
    return replace(
        finding,
        explanation=f"{finding.explanation}; runs are equal only if several are suspended: also {names}",
        fix="; ".join([finding.fix, *(each.fix for each in also if each.fix)]),
    )


def locate(
    finding: Finding, divergence: Divergence | None, trace_lines: Callable[[], Sequence[Sequence[LineStep]]]
) -> Finding:
    """*finding* with the first line or op at which runs diverged.

    Args:
        trace_lines: Runs again, for the lines of two runs, if they diverged before any op did: in an input of
            torch, or in what was recorded.
    """
    if divergence is None or divergence.kind == "input" or divergence.op.startswith("record "):
        with suppress(ExperimentFailed):
            finding = _locate_by_line(finding, trace_lines())
    return locate_by_op(finding, divergence)


def _locate_by_line(finding: Finding, steps: Sequence[Sequence[LineStep]]) -> Finding:
    line = find_line_divergence(*steps) if len(steps) == 2 else None
    if line is None or not line.location:
        return finding
    note = f"the runs first diverged at {line.location}" + (f", in {line.name}" if line.name else "")
    location = finding.location or line.location
    return replace(finding, location=location, explanation=f"{finding.explanation}; {note}")


def locate_by_op(finding: Finding, divergence: Divergence | None) -> Finding:
    """*finding* with the location of the first op that diverged, unless it has a location."""
    if finding.location or divergence is None:
        return finding
    return replace(finding, location=divergence.forward_location or divergence.location)


def build_unknown_finding(reason: str, evidence: Evidence | None = None) -> Finding:
    """The finding that no cause could be established, and why."""
    return get_cause("unknown").build_finding(evidence or Evidence(), "", reason)


def describe_no_recurrence(runs: int, fresh_processes: bool) -> str:
    """The difference did not occur again."""
    process = "a fresh process" if fresh_processes else "this process"
    return f"{runs} more runs in {process} did not differ: {explain_rarity()}"


def describe_too_rare(evidence: Evidence, required_runs: int, affordable_runs: int) -> str:
    """The difference is too rare for the time limit."""
    return (
        f"{evidence.frequency}: to distinguish a suspect from chance takes {required_runs} runs each, and "
        f"the time limit (repro_diagnose_seconds) allows {affordable_runs}"
    )


def describe_no_suspect(evidence: Evidence) -> str:
    """No suspect makes the difference."""
    text = (
        f"{evidence.differing} of {evidence.runs} runs differed, and runs still differed with each suspect "
        "suspended and with all of them suspended together"
    )
    files = [f"{c.name} {c.description}" for c in evidence.changes if c.name.startswith("file ")]
    return f"{text}; a run leaves files behind that fresh processes also see: {files[0]}" if files else text


def describe_unseen_state(restored: Sequence[Change] = ()) -> str:
    """Fresh processes agree, and no change that was seen, even if *restored*, makes the difference."""
    seen = "no change was seen that a run leaves behind"
    if restored:
        names = ", ".join(change.name for change in restored[:_MAX_LISTED])
        more = " and more" if len(restored) > _MAX_LISTED else ""
        seen = f"runs still differed after {names}{more} had been restored"
    return (
        "runs that each started in a fresh process were equal, so a run depends on something that earlier "
        f"runs in its process have changed; {seen} (memory in use? state of compiled code?)"
    )
