"""What is said of an inquiry that has found no cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_repro.causes import named, names
from pytest_repro.causes.unknown import seldom
from pytest_repro.core.diagnose.evidence import Evidence
from pytest_repro.core.diagnose.finding import Change

_TOLD = 3

LAID = "with the same addresses runs were equal, with memory laid out in another way they were not"
NOT_FRESH = "there is no process that has not run it before"


def left_unseen(put_back: Sequence[Change] = ()) -> str:
    """Fresh processes agree, and nothing of what was seen to be left behind makes the difference."""
    told = ", ".join(each.name for each in put_back[:_TOLD]) + " and more" * (len(put_back) > _TOLD)
    seen = (
        f"{told} changed, was put back, and runs differed all the same"
        if put_back
        else "nothing was seen that a run leaves behind"
    )
    return (
        "each begun in a fresh process, runs were equal: they meet something of a process that has run "
        f"before, and {seen} (memory in use? what compiled code keeps?)"
    )


def unheld(evidence: Evidence, loose: Mapping[str, str]) -> set[str]:
    """The causes that were not held altogether: they are not ruled out."""
    return {*loose, *(name for name in names() if named(name).loose(evidence.calls))}


def with_loose(why: str, loose: Mapping[str, str]) -> str:
    """*why*, and which suspects could not be held."""
    told = "; ".join(f"{name} ({said})" for name, said in loose.items())
    return f"{why}; tried, and not held: {told}" if told else why


def gone(runs: int, fresh: bool) -> str:
    """The difference was not seen again."""
    where = "in a fresh process" if fresh else "in this process"
    return f"run again {runs} times {where}, it did not differ: {seldom()}"


def too_seldom(evidence: Evidence, wanted: int, affordable: int) -> str:
    """It is too rare for the time there is."""
    return (
        f"{evidence.often}: to tell a suspect from chance each takes {wanted} runs, and there is time for"
        f" {affordable} (repro_diagnose_seconds)"
    )


def no_suspect(evidence: Evidence) -> str:
    """None of the suspects made it."""
    often = f"{evidence.differing} of {evidence.runs} runs differed"
    told = f"{often}, with each of the suspects held and with all of them together"
    files = [f"{each.name} {each.how}" for each in evidence.changed if each.name.startswith("file ")]
    return (
        f"{told}; a run leaves files behind, which fresh processes find as well: {files[0]}"
        if files
        else told
    )
