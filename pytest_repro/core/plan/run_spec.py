"""What one run is: its setting, its seed, and what watches it."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_repro.core.plan.cell import Cell
from pytest_repro.core.plan.plan import Deterministic


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One run to make.

    Attributes:
        cell: Setting of the axes.
        number: Number of the run, from 0: ``repro.run``.
        seed: Given to every generator, 0 … 2**32 - 1.
        deterministic: Mode of deterministic algorithms.
        compared: Whether the run counts for the verdict; seed sweeps and other extra runs do not.
        reported: Whether pytest reports the run: the last one of a test.
        suspended: Names of the suspects that cannot act during the run.
        traced: Whether its ops are recorded.
    """

    cell: Cell
    number: int
    seed: int
    deterministic: Deterministic = True
    compared: bool = True
    reported: bool = False
    suspended: tuple[str, ...] = ()
    traced: bool = False
