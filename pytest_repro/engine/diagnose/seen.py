"""What a diagnosis that did not finish has seen and not tested."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from pytest_repro.causes import get_cause
from pytest_repro.core.diagnose import Evidence, Finding

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
