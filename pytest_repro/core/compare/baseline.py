"""How a verdict stands to what is stored of the test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

BASELINE = "baseline"
"""The axis of mismatches between a run and what is stored."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """How a test stands to its golden file.

    Attributes:
        path: The file, as it is called from where pytest was started.
        environment_key: Of this environment.
        stored_key: Key of the environment whose entry was compared; ``""`` where there is none.
        environment_diff: What differs between the two, as name → here, in the golden file.
        differing: Names of observations whose bits differ from those of another environment.
        uncompared: Those of them that could not be compared within a tolerance.
        options: What the command that writes the entry needs beside ``--repro-update``.
        read_error: Why the golden file cannot be read; ``""`` where it can.
    """

    path: str
    environment_key: str
    stored_key: str = ""
    environment_diff: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    differing: tuple[str, ...] = ()
    uncompared: tuple[str, ...] = ()
    options: str = ""
    read_error: str = ""
