"""The order of a set or dict of strings, or ``hash(str)``: another in each interpreter."""

from __future__ import annotations

from pytest_repro.causes import Cause, Evidence
from pytest_repro.core.finding import Finding


class HashSeed(Cause):
    """Held by interpreters with one and the same ``PYTHONHASHSEED``."""

    elsewhere = True

    def found(self, evidence: Evidence, way: str = "", beside: str = "") -> Finding:
        heard = evidence.of(self.name)
        return Finding(
            self.name, heard[0].location if heard else "",
            "two interpreters with the same PYTHONHASHSEED gave the same, and one with another did not: "
            "the order of a set of strings, or hash() of a string, goes in",
            "sort before the order counts: sorted(set(names)), dict.fromkeys(names); for a stable hash "
            "take zlib.crc32 or hashlib",
        )  # fmt: skip


cause = HashSeed()
