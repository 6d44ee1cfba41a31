"""What drew, where a library knows that."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class DrawOrigin(NamedTuple):
    """A part of a larger object that drew.

    Attributes:
        root: The object that was called by nobody else's call.
        path: The way from there: ``.encoder.dropout``.
        label: ``"Dropout, training"``.
        location: Where it is written, if by the user, else the user's line that called it,
            ``"/abs/file.py:12"``; ``""`` where there is none.
        seeding: Whether it drew a seed for others, which changes no value by itself.
    """

    root: object
    path: str
    label: str
    location: str
    seeding: bool = False


BoundaryCallback = Callable[["Callable[[], DrawOrigin] | None"], None]
"""Told that from here on another part runs: what moved since the last look, the one given moved."""
