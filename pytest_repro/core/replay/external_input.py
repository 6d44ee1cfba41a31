"""What a run took from outside the program: entropy and time of the operating system, older generators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExternalInput:
    """One call and its result, all of it text.

    Attributes:
        call: Source text of the call: ``"np.random.default_rng()"``; ``""`` if there is no source.
        location: The innermost line of the user's own code, ``"data.py:12"``.
        via: The library function that the line called, and that made the call: ``"uuid.uuid4"``; ``""`` if
            the line made the call itself.
        thread: ``""`` for the main thread of the run, ``"2"`` for the second thread that it started,
            ``"2.1"`` for the first that this one started.
        request: What was requested: ``"128 bits"``, ``"16 bytes"``, or a clock, ``"monotonic"``.
        value: The result: hexadecimal, or nanoseconds as a decimal number.
    """

    call: str
    location: str
    via: str
    thread: str
    request: str
    value: str


@dataclass(frozen=True, slots=True)
class ReplayLog:
    """What one run took from outside the program.

    Attributes:
        generators: State of each generator at the start of the run, as text in the format of its library, by
            module and name: ``"data.rng"``.
        calls: The calls, in order.
    """

    generators: Mapping[str, str]
    calls: tuple[ExternalInput, ...]
