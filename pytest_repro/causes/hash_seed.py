"""The order of sets of text, and ``hash()`` of text: other in each interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pytest_repro.causes import Cause, WatchedFunction
from pytest_repro.core.diagnose.evidence import Evidence
from pytest_repro.core.diagnose.finding import Finding

_SALTED_TYPES = (str, bytes, memoryview)


def _contains_text(value: Any, *_: Any) -> bool:
    if isinstance(value, (tuple, frozenset)):
        return any(_contains_text(part) for part in value)
    return isinstance(value, _SALTED_TYPES)


class HashSeed(Cause):
    """``PYTHONHASHSEED``: an interpreter reads it once, so other interpreters tell.

    Heard are calls of ``hash()`` alone; the order of a set leaves no call behind.
    """

    needs_fresh_process = True
    explanation = "an order or a number comes from the hash of text, which each interpreter salts differently"
    fix = (
        "sort the set before it is walked through, or take a dict or list; "
        "for a number that lasts, take zlib.crc32(text.encode())"
    )
    watched_functions: ClassVar[Sequence[WatchedFunction]] = (
        WatchedFunction(
            "builtins:hash",
            "of text hangs on PYTHONHASHSEED, which is another in each interpreter",
            "take a hash that lasts: zlib.crc32(text.encode()), or hashlib",
            "hash()",
            when=_contains_text,
            reach="line",
        ),
    )

    def build_finding(self, evidence: Evidence, variant: str = "", detail: str = "") -> Finding:
        said = self.explain(evidence.calls)
        shown = "two interpreters with the same PYTHONHASHSEED gave the same, one with another did not"
        return Finding(self.name, said.location, f"{said.explanation}; {shown}", said.fix)


cause = HashSeed()
