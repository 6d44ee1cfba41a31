"""Findings: what suspects explain, where runs diverged, or why no cause was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from pytest_repro.causes import get_cause, list_cause_names, split_suspect
from pytest_repro.core.diagnose import Change, Evidence, ExperimentResult, Finding
from pytest_repro.core.trace.divergence import Divergence, LineStep, find_line_divergence
from pytest_repro.engine.diagnose import ExperimentFailed

LineExperiment = Callable[[], Sequence[Sequence[LineStep]]]
"""Runs twice more, and returns the lines of both runs."""

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
        for variant in cause.list_variants(evidence)
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
    finding: Finding, divergence: Divergence | None, trace_lines: LineExperiment | None = None
) -> Finding:
    """*finding* with the first line or op at which runs diverged.

    Args:
        divergence: The first op that diverged.
        trace_lines: Called if they diverged before any op did: in an input of torch, or in what was recorded.
    """
    before_ops = divergence is None or divergence.kind == "input" or divergence.op.startswith("record ")
    if trace_lines is not None and before_ops:
        with suppress(ExperimentFailed):
            finding = _locate_by_line(finding, trace_lines())
    if finding.location or divergence is None:
        return finding
    return replace(finding, location=divergence.forward_location or divergence.location)


def _locate_by_line(finding: Finding, steps: Sequence[Sequence[LineStep]]) -> Finding:
    line = find_line_divergence(*steps) if len(steps) == 2 else None
    if line is None or not line.location:
        return finding
    note = f"the runs first diverged at {line.location}" + (f", in {line.name}" if line.name else "")
    location = finding.location or line.location
    return replace(finding, location=location, explanation=f"{finding.explanation}; {note}")


def find_row_order(
    evidence: Evidence, results: Sequence[ExperimentResult], needs_call: bool = False
) -> Finding | None:
    """The finding that runs of *results*, of which some differ, have equal rows in another order.

    Args:
        needs_call: Whether that takes a call that is known to return rows in any order, because something
            else may have shuffled them; as may what cannot be suspended, or happens in other processes.
    """
    needs_call |= any(get_cause(name).find_not_suspendable(evidence.calls) for name in list_cause_names())
    needs_call |= any("Process" in call.display_name for call in evidence.calls)
    if needs_call and not evidence.calls_for("row-order"):
        return None
    digests = {digest for result in results for digest in result.row_digests}
    differ = len({result.reference_digest for result in results}) > 1 or any(r.differing for r in results)
    is_equal = len(digests) == 1 and digests != {""}
    return get_cause("row-order").build_finding(evidence) if differ and is_equal else None


def build_unknown_finding(reason: str, evidence: Evidence | None = None) -> Finding:
    """The finding that no cause could be established, and why."""
    return get_cause("unknown").build_finding(evidence or Evidence(), "", reason)


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
