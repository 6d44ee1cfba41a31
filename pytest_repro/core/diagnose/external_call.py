"""A call of the outside world, as evidence for what made two runs differ."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExternalCall:
    """One call that could make runs differ, and where the user's code made it; text and a number.

    Attributes:
        display_name: What was called: ``"numpy.random.default_rng()"``.
        cause: The cause word that it is evidence for: ``"os-entropy"``.
        location: The innermost line of the user's own code, ``"/abs/file.py:12"``.
        via: The function of a library that was asked there and asked in turn:
            ``"somelib.ids.fresh"``; ``""`` where the user's line made the call itself.
        count: How often it was seen.
    """

    display_name: str
    cause: str
    location: str
    via: str = ""
    count: int = 1
