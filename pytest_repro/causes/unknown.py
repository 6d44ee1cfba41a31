"""No cause could be established: what was ruled out is told."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import ClassVar

from pytest_repro.causes import Cause, Row, asked, named, names
from pytest_repro.core.diagnose.evidence import Evidence
from pytest_repro.core.diagnose.external_call import Call
from pytest_repro.core.diagnose.finding import Finding

_ANSWER = "have the test put a fixed answer in its place, or record nothing that hangs on it"
_NEARER = "record more values along the way: the first that differs is nearest"
_LISTED = 5


class Unknown(Cause):
    """What is left when nothing that could be held made the runs equal.

    What was heard, and cannot be held by any cause, is told.
    """

    rows: ClassVar[Sequence[Row]] = (
        Row("subprocess:Popen.__init__", "starts a program", _ANSWER, "subprocess.Popen()", reach="all",
            held=False),
        Row("os:system", "starts a program", _ANSWER, held=False),
        Row("os:posix_spawn", "starts a program", _ANSWER, held=False),
        Row("socket:socket.connect", "speaks with somebody else", _ANSWER, "socket.connect()", reach="all",
            held=False),
    )  # fmt: skip

    def found(self, evidence: Evidence, way: str = "", beside: str = "") -> Finding:
        op = evidence.divergence
        where = (op.forward_location or op.location) if op is not None else ""
        out_of_reach = list(_out_of_reach(evidence.calls))
        told = "; ".join(text for text, _ in out_of_reach[:_LISTED])
        fix = out_of_reach[0][1] if out_of_reach else _NEARER
        return Finding(
            self.name, where, f"{beside}; seen, and not held: {told}" if told else beside,
            fix,
        )  # fmt: skip


def _out_of_reach(calls: Sequence[Call]) -> Iterator[tuple[str, str]]:
    """What was heard and no cause holds: what is said of it, and what to do."""
    for name in sorted(names(), key=lambda name: name != cause.name):
        for call in named(name).loose(calls):
            row = named(name).row(call)
            if row is not None:
                yield f"{asked(call)} at {call.location} {row.says}", row.fix


def seldom() -> str:
    """Why what was seen once may not be seen again."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores < 2:
        return "there is one core here, on which threads hardly race"
    return "races all but vanish on a busy machine, and what the tests before had left behind is not there"


cause = Unknown()
