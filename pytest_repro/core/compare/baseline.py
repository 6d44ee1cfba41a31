"""How a test compares with its golden file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

BASELINE = "baseline"
"""The axis of mismatches between a run and a golden file."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """How a test compares with its golden file.

    Attributes:
        path: Path of the file, relative to where pytest was started.
        environment_key: Key of this environment.
        stored_key: Key of the environment whose entry was compared; ``""`` if there is none.
        environment_diff: Name → value here, value in the golden file, where the two environments differ.
        differing: Names of observations whose bits differ from those of another environment.
        uncompared: Those of *differing* that could not be compared within a tolerance.
        options: Options that the command that writes the entry needs besides ``--repro-update``.
        read_error: Why the golden file cannot be read; ``""`` if it can.
    """

    path: str
    environment_key: str
    stored_key: str = ""
    environment_diff: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    differing: tuple[str, ...] = ()
    uncompared: tuple[str, ...] = ()
    options: str = ""
    read_error: str = ""
