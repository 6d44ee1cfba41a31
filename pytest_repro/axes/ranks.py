"""The number of processes that compute one thing together: more of them sum in another order."""

from __future__ import annotations

from pytest_repro.axes import Axis
from pytest_repro.core.plan.arguments import BadArgument


class Ranks(Axis):
    """``ranks=(1, 2, 4)``: one run for each number of processes, in one process group of torch.

    Of each run the values that rank 0 recorded are compared.
    """

    close_by_default = True
    preposition = "in"
    hints = (
        "how the batch is divided: an average of averages is that of the whole only over equal parts",
        "what each rank draws of its own, and statistics that each computes of its part (BatchNorm)",
    )
    cause_reason = "each number of processes adds up in another order"

    def resolve_values(self, argument: object) -> tuple[object, ...]:
        sizes = list(argument) if isinstance(argument, (tuple, list)) else [argument]
        if not sizes or not all(type(size) is int and size > 0 for size in sizes):
            raise BadArgument(self.name, argument, "a whole number, 1 or more, or several: ranks=(1, 2, 4)")
        if len(set(sizes)) < len(sizes):
            raise BadArgument(self.name, argument, "different numbers of processes: ranks=(1, 2, 4)")
        return tuple(sizes)

    def format_value(self, value: object) -> str:
        return f"{value} rank{'s' * (value != 1)}"

    def format_pair(self, reference: object, value: object) -> str:
        return f"{reference} and {value} ranks"


axis = Ranks()
