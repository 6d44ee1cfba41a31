"""No cause could be established: what was ruled out is told."""

from __future__ import annotations

import os

from pytest_repro.causes import Cause
from pytest_repro.core.evidence import Evidence
from pytest_repro.core.finding import Finding


class Unknown(Cause):
    """What is left when nothing that could be held made the runs equal."""

    def found(self, evidence: Evidence, way: str = "", beside: str = "") -> Finding:
        op = evidence.divergence
        where = (op.forward_location or op.location) if op is not None else ""
        return Finding(
            self.name, where, beside, "record more values along the way: the first that differs is nearest"
        )


def seldom() -> str:
    """Why what was seen once may not be seen again."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores < 2:
        return "there is one core here, on which threads hardly race"
    return "races all but vanish on a busy machine, and what the tests before had left behind is not there"


cause = Unknown()
