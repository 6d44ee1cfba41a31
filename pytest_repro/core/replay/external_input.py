"""What a program took from outside: the system's entropy, clocks, generators made before it began."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExternalInput:
    """One call and its answer; all of it text.

    Attributes:
        call: The call as it stands in the source: ``"np.random.default_rng()"``; ``""`` where there
            is no source.
        location: The innermost line of the user's own code, ``"data.py:12"``.
        via: The function of a library that was asked there and asked in turn: ``"uuid.uuid4"``;
            ``""`` where that line made the call itself.
        thread: ``""`` for the thread that began, ``"2"`` for the second that it started, ``"2.1"``
            for the first that this one started.
        request: What was asked for: ``"128 bits"``, ``"16 bytes"``, or a clock, ``"monotonic"``.
        value: The answer: hexadecimal, or nanoseconds as a decimal number.
    """

    call: str
    location: str
    via: str
    thread: str
    request: str
    value: str


@dataclass(frozen=True, slots=True)
class ReplayLog:
    """What one run took from outside.

    Attributes:
        generators: Where each generator stood when the run began, as its library puts it in text,
            by module and name: ``"data.rng"``.
        calls: What was taken, in that order.
    """

    generators: Mapping[str, str]
    calls: tuple[ExternalInput, ...]
