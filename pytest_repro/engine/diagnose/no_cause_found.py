"""Explanations of a diagnosis that has found no cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_repro.causes import get_cause, list_cause_names
from pytest_repro.causes.unknown import explain_rarity
from pytest_repro.core.diagnose import Change, Evidence

_MAX_LISTED = 3

NO_FRESH_PROCESS = "no fresh process is available"


def describe_unseen_state(restored: Sequence[Change] = ()) -> str:
    """Fresh processes agree, and no change that was seen makes the difference.

    Args:
        restored: Changes that were restored without effect.
    """
    names = ", ".join(change.name for change in restored[:_MAX_LISTED])
    more = " and more" if len(restored) > _MAX_LISTED else ""
    seen = (
        f"runs still differed after {names}{more} had been restored"
        if restored
        else "no change was seen that a run leaves behind"
    )
    return (
        "runs that each started in a fresh process were equal, so a run depends on something that earlier "
        f"runs in its process have changed; {seen} (memory in use? state of compiled code?)"
    )


def find_not_suspendable(evidence: Evidence, not_suspended: Mapping[str, str]) -> set[str]:
    """The causes that were not suspended completely, and so cannot be ruled out."""
    return {
        *not_suspended,
        *(name for name in list_cause_names() if get_cause(name).find_not_suspendable(evidence.calls)),
    }


def append_not_suspended_note(reason: str, not_suspended: Mapping[str, str]) -> str:
    """*reason*, and the suspects that could not be suspended: cause word → why."""
    listed = "; ".join(f"{name} ({why})" for name, why in not_suspended.items())
    return f"{reason}; could not be suspended: {listed}" if listed else reason


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
