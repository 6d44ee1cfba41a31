"""The number of threads: sums are added up in another order."""

from __future__ import annotations

from typing import ClassVar

from pytest_repro.causes import AxisCause


class Threads(AxisCause):
    """The axis is the cause: repeatable at each value, different between them."""

    explanation_template: ClassVar = (
        "run to run each number of threads gives the same, and {beside} differ: sums are split over the "
        "threads and added up in another order"
    )
    fix: ClassVar = (
        "fix the number of threads (torch.set_num_threads, OMP_NUM_THREADS) wherever results must be "
        "equal, or compare within a tolerance"
    )


cause = Threads()
