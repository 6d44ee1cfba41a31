"""The order of sets of text, and ``hash()`` of text, which differ between interpreters."""

from __future__ import annotations

from typing import Any

from pytest_repro.causes import Cause, WatchedFunction
from pytest_repro.core.diagnose import Evidence, Finding

_SALTED_TYPES = (str, bytes, memoryview)
_EFFECT = "of text depends on PYTHONHASHSEED, which differs between interpreters"
_FIX = "use a stable hash: zlib.crc32(text.encode()), or hashlib"


def _contains_text(value: Any, *_: Any) -> bool:
    if isinstance(value, (tuple, frozenset)):
        return any(_contains_text(part) for part in value)
    return isinstance(value, _SALTED_TYPES)


class HashSeed(Cause):
    """``PYTHONHASHSEED``: an interpreter reads it once, so only other interpreters show it.

    Only calls of ``hash()`` are logged; the order of a set needs no call.
    """

    needs_fresh_process = True
    located_by_line = True
    explanation = "an order or a number comes from the hash of text, which each interpreter salts differently"
    fix = (
        "sort the set before iterating over it, or use a dict or a list; "
        "for a stable number, use zlib.crc32(text.encode())"
    )
    watched_functions = (
        WatchedFunction("builtins:hash", _EFFECT, _FIX, "hash()", when=_contains_text, reach="line"),
    )

    def build_finding(self, evidence: Evidence, variant: str = "", detail: str = "") -> Finding:
        location, explanation, fix = self.explain(evidence.calls)
        result = "two interpreters with the same PYTHONHASHSEED agree, one with another differs"
        return Finding(self.name, location, f"{explanation}; {result}{detail}", fix)


cause = HashSeed()
