"""No cause could be established: what was ruled out is told."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import ClassVar

from pytest_repro.causes import Cause, WatchedFunction, format_call, get_cause, list_cause_names
from pytest_repro.core.diagnose.evidence import Evidence
from pytest_repro.core.diagnose.external_call import ExternalCall
from pytest_repro.core.diagnose.finding import Finding

_EXTERNAL_FIX = "have the test put a fixed answer in its place, or record nothing that hangs on it"
_DEFAULT_FIX = "record more values along the way: the first that differs is nearest"
_MAX_LISTED = 5


class Unknown(Cause):
    """What is left when nothing that could be held made the runs equal.

    What was heard, and cannot be held by any cause, is told.
    """

    watched_functions: ClassVar[Sequence[WatchedFunction]] = (
        WatchedFunction(
            "subprocess:Popen.__init__",
            "starts a program",
            _EXTERNAL_FIX,
            "subprocess.Popen()",
            reach="all",
            suspendable=False,
        ),
        WatchedFunction("os:system", "starts a program", _EXTERNAL_FIX, suspendable=False),
        WatchedFunction("os:posix_spawn", "starts a program", _EXTERNAL_FIX, suspendable=False),
        WatchedFunction(
            "socket:socket.connect",
            "speaks with somebody else",
            _EXTERNAL_FIX,
            "socket.connect()",
            reach="all",
            suspendable=False,
        ),
    )

    def build_finding(self, evidence: Evidence, variant: str = "", detail: str = "") -> Finding:
        op = evidence.divergence
        where = (op.forward_location or op.location) if op is not None else ""
        out_of_reach = list(_describe_not_suspendable(evidence.calls))
        told = "; ".join(text for text, _ in out_of_reach[:_MAX_LISTED])
        fix = out_of_reach[0][1] if out_of_reach else _DEFAULT_FIX
        return Finding(
            self.name,
            where,
            f"{detail}; seen, and not held: {told}" if told else detail,
            fix,
        )


def _describe_not_suspendable(calls: Sequence[ExternalCall]) -> Iterator[tuple[str, str]]:
    """What was heard and no cause holds: what is said of it, and what to do."""
    for name in sorted(list_cause_names(), key=lambda name: name != cause.name):
        for call in get_cause(name).find_not_suspendable(calls):
            row = get_cause(name).find_watched_function(call)
            if row is not None:
                yield f"{format_call(call)} at {call.location} {row.effect}", row.fix


def explain_rarity() -> str:
    """Why what was seen once may not be seen again."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores < 2:
        return "there is one core here, on which threads hardly race"
    return "races all but vanish on a busy machine, and what the tests before had left behind is not there"


cause = Unknown()
