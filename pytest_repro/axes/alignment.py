"""Where in memory an array begins: kernels take other code paths at odd offsets."""

from __future__ import annotations

from typing import TypeVar

from pytest_repro.adapters import find_array_adapter
from pytest_repro.axes import Axis, as_tuple
from pytest_repro.axes._shared import require_distinct
from pytest_repro.core.plan.arguments import BadArgument

T = TypeVar("T")


class Alignment(Axis):
    """``alignment=(0, 1)``: offsets in elements, of what the test passes through ``shift_alignment``.

    Nothing else can be moved: a library places its own arrays. A run that moves nothing does not count.
    """

    close_by_default = True
    opt_in_message = "the test passed nothing through shift_alignment(), so nothing was moved"
    preposition = "at"
    hints = ("kernels that treat aligned memory differently: matrix-vector products, sums",)
    cause_reason = "kernels treat aligned memory differently"
    cause_fix = (
        "copy slices before computing with them (contiguous(), .copy()), or compare within a tolerance"
    )

    def resolve_values(self, argument: object) -> tuple[object, ...]:
        values = (0, 1) if argument is True else as_tuple(argument)
        if any(isinstance(each, bool) or not isinstance(each, int) or each < 0 for each in values):
            raise BadArgument(self.name, argument, "offsets in elements, 0 or more: alignment=(0, 1)")
        return require_distinct(self.name, values)

    def format_value(self, value: object) -> str:
        return f"an offset of {value} element{'s' * (value != 1)}"

    def format_pair(self, reference: object, value: object) -> str:
        return f"offsets of {reference} and {value} elements"


def copy_at_offset(value: T, offset: int) -> T:
    """A copy of a dense tensor or a numpy array that begins *offset* elements after an aligned address.

    Raises:
        TypeError: *value* is neither.
    """
    adapter = find_array_adapter(value)
    if adapter is None:
        raise TypeError(f"repro.tensor() takes a tensor or an array, not a {type(value).__qualname__}")
    placed: T = adapter.copy_at_offset(value, offset)
    return placed


axis = Alignment()
