"""Findings: what suspects explain, where runs diverged, or why no cause was found."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import takewhile

from pytest_repro.causes import get_cause, list_cause_names, split_suspect
from pytest_repro.core.diagnose import Change, Evidence, ExperimentResult, ExternalCall, Finding
from pytest_repro.core.trace.divergence import Divergence, LineStep, find_line_divergence
from pytest_repro.engine.diagnose import ExperimentFailed

LineExperiment = Callable[[], Sequence[Sequence[LineStep]]]
"""Runs twice more, and returns the lines of both runs."""

ADDRESS_LAYOUT = "address-order:laid out"
"""The suspect for orders by address, which cannot be suspended: it changes the memory layout instead."""

IMPORT, UNKNOWN = "import", "unknown"

_NOTES = {
    ADDRESS_LAYOUT: "runs with the same addresses were equal, a run with another memory layout differed"
}

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


def build_finding(suspect: str, evidence: Evidence, note: str = "") -> Finding:
    """The finding that *suspect* made the difference.

    Args:
        suspect: A cause word with a variant or without.
        evidence: What was known before.
        note: What the experiment adds to the explanation.
    """
    cause, variant = split_suspect(suspect)
    return cause.build_finding(evidence, variant, note or _NOTES.get(suspect, ""))


def list_suspended_completely(
    names: Iterable[str], evidence: Evidence, not_suspended: Collection[str] = ()
) -> list[str]:
    """Those cause words of *names* that cannot have acted while they were suspended.

    Args:
        not_suspended: Those that an experiment has reported.
    """
    calls = evidence.calls
    incomplete = {name for name in list_cause_names() if get_cause(name).find_not_suspendable(calls)}
    if all(call.via for call in evidence.calls_for(IMPORT)):
        incomplete.add(IMPORT)  # what a library imports when it is used, nobody suspects
    return [name for name in dict.fromkeys(names) if name not in incomplete and name not in not_suspended]


def list_ruled_out(suspended: Iterable[str], findings: Sequence[Finding]) -> tuple[str, ...]:
    """The cause words that made no difference: *findings* establish all causes, and they are others.

    While a cause is unknown, a suspect may be one of several: that runs still differed does not rule it out.

    Args:
        suspended: Cause words that were suspended completely, while runs still differed.
    """
    names = {finding.name for finding in findings}
    return () if UNKNOWN in names else tuple(name for name in suspended if name not in names)


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
    name = "what it returns" if line.name == "return" else line.name
    note = f"the runs first diverged at {line.location}" + (f", in {name}" if name else "")
    location = finding.location or line.location
    return replace(finding, location=location, explanation=f"{finding.explanation}; {note}")


def name_compiled_module(finding: Finding, lines: ExperimentResult) -> Finding:
    """*finding*, that the cause is unknown, with the compiled module that its line calls.

    If the line only reads what a foreign function has written, it is the last line before that calls one.

    Args:
        lines: Two runs, line by line.
    """
    compiled = dict(lines.compiled)
    diverged = find_line_divergence(*lines.steps).location if len(lines.steps) == 2 else ""
    line = diverged or finding.location
    if compiled.get(line) == "":
        before = takewhile(lambda step: step.location != line, lines.steps[0])
        line = next((step.location for step in [*before][::-1] if compiled.get(step.location)), "")
    if not (module := compiled.get(line)):
        return finding
    parts = "its threads, generators and reads of a clock cannot be suspended"
    called = f"this line calls code inside {module}, compiled: {parts}"
    options = f"seed {module} and give it one thread, if it has such options; or " * (module != "ctypes")
    fix = f"{options}replace the call in the test by a fixed answer"
    return replace(finding, location=line, explanation=f"{finding.explanation}; {called}", fix=fix)


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
    return get_cause(UNKNOWN).build_finding(evidence or Evidence(), "", reason)


_OTHER_TEXTS = ("import", "unknown")
"""Causes whose calls are no calls of functions, or are listed among those that cannot be suspended."""

_FIX = (
    "seed, sort or replace what was seen, one at a time, and see whether the runs agree; or give the "
    "diagnosis more time: repro_diagnose_seconds"
)


def add_seen_calls(finding: Finding, evidence: Evidence, tested: Collection[str]) -> Finding:
    """*finding*, that no cause is established, with the calls that were seen and not tested.

    Args:
        tested: Cause words that were suspended completely.
    """
    calls = [call for call in evidence.calls if call.cause not in {*tested, *_OTHER_TEXTS}]
    calls.sort(key=lambda call: (get_cause(call.cause).rank(evidence), call.via != ""))
    seen = tuple(dict.fromkeys(f"{call.display_name} at {call.location}" for call in calls))
    return replace(finding, seen=seen, fix=_FIX) if seen else finding


def describe_no_suspect(evidence: Evidence, suspended: Sequence[str] = ()) -> str:
    """No suspect makes the difference, though all were *suspended*."""
    listed = f" ({', '.join(suspended)})" if suspended else ""
    return (
        f"{evidence.differing} of {evidence.runs} runs differed, and runs still differed with each suspect "
        f"suspended{listed} and with all of them suspended together"
    )


def describe_unseen_state(without: Sequence[Change | ExternalCall] = (), failed: Sequence[str] = ()) -> str:
    """Fresh processes agree, and no state that was seen makes the difference.

    Args:
        without: What runs still differed without.
        failed: The names of those that could not be restored completely.
    """
    names = [
        each.name if isinstance(each, Change) else f"{each.display_name} at {each.location}"
        for each in without
    ]
    restored = [name for name in names if name not in failed]
    notes = [f"runs still differed without {_list_names(restored)}"] if restored else []
    notes += (
        [f"{_list_names(failed)} changed and could not be restored to see whether it matters"]
        if failed
        else []
    )
    seen = "; ".join(notes) or "no change was seen that a run leaves behind"
    return (
        "runs that each started in a fresh process were equal, so a run depends on something that earlier "
        f"runs in its process have changed; {seen} (memory in use? state of compiled code, or "
        "of installed packages that repro_packages does not name?)"
    )


def _list_names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    return f"{', '.join(names[:_MAX_LISTED])}{more}"
