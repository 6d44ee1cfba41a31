"""No cause could be established."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_repro.causes import Cause, WatchedFunction, format_call, get_cause, list_cause_names
from pytest_repro.core.diagnose import Evidence, ExternalCall, Finding
from pytest_repro.core.machine import count_cores
from pytest_repro.interpose.call_log import Reach

_EXTERNAL_FIX = "replace it in the test by a fixed answer, or do not record values that depend on it"
_DEFAULT_FIX = "record more values along the way: the first that differs is nearest to the cause"
_MAX_LISTED = 5


def _watch(function: str, effect: str, label: str = "", reach: Reach = "library") -> WatchedFunction:
    return WatchedFunction(function, effect, _EXTERNAL_FIX, label, reach=reach, suspendable=False)


class Unknown(Cause):
    """Nothing that could be suspended made the runs equal; lists the calls that cannot be suspended."""

    located_by_line = True
    watched_functions = (
        _watch("subprocess:Popen.__init__", "starts a program", "subprocess.Popen()", reach="all"),
        _watch("os:system", "starts a program"),
        _watch("os:posix_spawn", "starts a program"),
        _watch("socket:socket.connect", "makes a network call", "socket.connect()", reach="all"),
    )

    def build_finding(self, evidence: Evidence, variant: str = "", detail: str = "") -> Finding:
        op = evidence.divergence
        location = (op.forward_location or op.location) if op is not None else ""
        described = list(_describe_not_suspendable(evidence.calls))
        listed = "; ".join(text for text, _ in described[:_MAX_LISTED])
        fix = described[0][1] if described else _DEFAULT_FIX
        explanation = f"{detail}; called, but cannot be suspended: {listed}" if listed else detail
        return Finding(self.name, location, explanation, fix)


def _describe_not_suspendable(calls: Sequence[ExternalCall]) -> Iterator[tuple[str, str]]:
    """The description and the fix of each call that no cause can suspend."""
    for name in sorted(list_cause_names(), key=lambda name: name != cause.name):
        for call, row in get_cause(name).find_not_suspendable(calls):
            yield f"{format_call(call)} at {call.location} {row.effect}", row.fix


def explain_rarity() -> str:
    """Why a difference that was seen once may not be seen again."""
    if count_cores() < 2:
        return "on one core threads hardly race"
    return "races are rare on a busy machine, and state that earlier tests left is missing"


cause = Unknown()
