"""A call to the world outside a test, as evidence for what made two runs differ."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExternalCall:
    """A call that could make runs differ, and where the user's code made it.

    Attributes:
        display_name: What was called: ``"numpy.random.default_rng()"``.
        cause: The cause word that the call is evidence for: ``"os-entropy"``.
        location: The innermost line of the user's own code, ``"/abs/file.py:12"``.
        via: The library function that the line called, and that made the call: ``"somelib.ids.fresh"``;
            ``""`` if the line made the call itself.
        count: Number of such calls.
    """

    display_name: str
    cause: str
    location: str
    via: str = ""
    count: int = 1
