"""What is said of an inquiry that has found no cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_repro.causes import get_cause, list_cause_names
from pytest_repro.causes.unknown import explain_rarity
from pytest_repro.core.diagnose.evidence import Evidence
from pytest_repro.core.diagnose.finding import Change

_MAX_LISTED = 3

LAYOUT_MATTERS = "with the same addresses runs were equal, with memory laid out in another way they were not"
NO_FRESH_PROCESS = "there is no process that has not run it before"


def describe_unseen_state(restored: Sequence[Change] = ()) -> str:
    """Fresh processes agree, and nothing of what was seen to be left behind makes the difference."""
    told = ", ".join(each.name for each in restored[:_MAX_LISTED]) + " and more" * (
        len(restored) > _MAX_LISTED
    )
    seen = (
        f"{told} changed, was put back, and runs differed all the same"
        if restored
        else "nothing was seen that a run leaves behind"
    )
    return (
        "each begun in a fresh process, runs were equal: they meet something of a process that has run "
        f"before, and {seen} (memory in use? what compiled code keeps?)"
    )


def find_not_suspendable(evidence: Evidence, not_suspended: Mapping[str, str]) -> set[str]:
    """The causes that were not held altogether: they are not ruled out."""
    return {
        *not_suspended,
        *(name for name in list_cause_names() if get_cause(name).find_not_suspendable(evidence.calls)),
    }


def append_not_suspended_note(reason: str, not_suspended: Mapping[str, str]) -> str:
    """*reason*, and which suspects could not be held."""
    told = "; ".join(f"{name} ({said})" for name, said in not_suspended.items())
    return f"{reason}; tried, and not held: {told}" if told else reason


def describe_no_recurrence(runs: int, fresh_processes: bool) -> str:
    """The difference was not seen again."""
    where = "in a fresh process" if fresh_processes else "in this process"
    return f"run again {runs} times {where}, it did not differ: {explain_rarity()}"


def describe_too_rare(evidence: Evidence, required_runs: int, affordable_runs: int) -> str:
    """It is too rare for the time there is."""
    return (
        f"{evidence.frequency}: to tell a suspect from chance each takes {required_runs} runs, and there is time for"
        f" {affordable_runs} (repro_diagnose_seconds)"
    )


def describe_no_suspect(evidence: Evidence) -> str:
    """None of the suspects made it."""
    often = f"{evidence.differing} of {evidence.runs} runs differed"
    told = f"{often}, with each of the suspects held and with all of them together"
    files = [f"{each.name} {each.description}" for each in evidence.changes if each.name.startswith("file ")]
    return (
        f"{told}; a run leaves files behind, which fresh processes find as well: {files[0]}"
        if files
        else told
    )
