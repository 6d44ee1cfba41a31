"""What made a test differ, and what to change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Finding:
    """A cause that was established by suspending it: without it, the runs were equal.

    Attributes:
        name: A cause word: ``"os-entropy"``, …, ``"unknown"``.
        location: ``"data.py:12"``, where it sits in the user's code; ``""`` where nobody can say.
        explanation: What it does, and what the experiments have shown.
        fix: What to change, in the user's own terms.
        ruled_out: Cause words that were suspended, and the runs differed all the same.
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
    """Something that belongs to a test and outlives a run.

    Attributes:
        value: A fixture's, a parameter's, an argument.
        location: Where it is defined, ``"/abs/conftest.py:12"``; ``""`` unknown.
    """

    value: object
    location: str = ""
