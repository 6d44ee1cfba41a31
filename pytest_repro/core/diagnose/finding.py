"""What made a test differ, and how to fix it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Finding:
    """A cause that experiments established: while it is suspended, the runs are equal.

    Attributes:
        name: A cause word: ``"os-entropy"``, …, ``"unknown"``.
        location: Where it is in the user's code, ``"data.py:12"``; ``""`` if unknown.
        explanation: What the cause does, and what the experiments showed.
        fix: What to change.
        ruled_out: Cause words during whose suspension the runs still differed.
    """

    name: str
    location: str = ""
    explanation: str = ""
    fix: str = ""
    ruled_out: tuple[str, ...] = ()


class Change(NamedTuple):
    """Something that one run left behind for the next.

    Attributes:
        name: ``"test_model.CACHE"``, ``"fixture model.bn.running_mean"``.
        description: ``"grew from 0 to 1 items"``, ``"has different values"``.
        location: Where it is defined, ``"/abs/test_model.py:7"``; ``""`` unknown.
        kind: What it is a part of: ``"module"``, ``"optimiser"``, ``"numpy generator"``,
            ``"torch generator"``, ``"random.Random"``; ``""`` anything else.
        owner: What that is called: ``"test_model.MODEL"``.
    """

    name: str
    description: str
    location: str = ""
    kind: str = ""
    owner: str = ""


class StateRoot(NamedTuple):
    """An object that belongs to a test and outlives a run.

    Attributes:
        value: The value of a fixture, a parameter or an argument.
        location: Where it is defined, ``"/abs/conftest.py:12"``; ``""`` if unknown.
    """

    value: object
    location: str = ""
