"""What is said of an inquiry that has found no cause."""

from __future__ import annotations

from pytest_repro.causes.unknown import seldom
from pytest_repro.core.evidence import Evidence


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
