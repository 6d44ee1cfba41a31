"""Where in memory an array begins: kernels take other ways at odd offsets."""

from __future__ import annotations

import sys
from typing import Any, ClassVar, TypeVar

from pytest_repro.axes import Axis, distinct, listed
from pytest_repro.core.plan.plan import BadArgument

T = TypeVar("T")


class Alignment(Axis):
    """``alignment=(0, 1)``: offsets in elements, of what the test passes through ``repro.tensor``.

    Nothing else can be moved: where a library puts an array it makes itself is its own affair. A
    run in which nothing was moved is therefore not counted.
    """

    close = True
    asks = "the test passed nothing through repro.tensor(), so nothing was moved"
    preposition = "at"
    look_for: ClassVar = ("kernels that treat aligned memory apart: a matrix times a vector, sums",)

    def values(self, given: object) -> tuple[object, ...]:
        values = (0, 1) if given is True else listed(given)
        if any(isinstance(each, bool) or not isinstance(each, int) or each < 0 for each in values):
            raise BadArgument(self.name, given, "offsets in elements, 0 or more: alignment=(0, 1)")
        return distinct(self.name, values)

    def read(self, text: str) -> object:
        return int(text) if text.isdecimal() else text

    def called(self, value: object) -> str:
        return f"an offset of {value} element{'s' * (value != 1)}"

    def between(self, reference: object, value: object) -> str:
        return f"offsets of {reference} and {value} elements"


def shifted(value: T, elements: int) -> T:
    """A copy of a tensor or an array that begins *elements* elements behind an aligned address.

    Args:
        value: A dense tensor or a numpy array, of any shape and dtype.
        elements: Offset, in elements.

    Raises:
        TypeError: *value* is neither.
    """
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if torch is not None and isinstance(value, torch.Tensor):
        return _shifted_tensor(torch, value, elements)  # type: ignore[no-any-return]
    if numpy is not None and isinstance(value, numpy.ndarray):
        return _shifted_array(numpy, value, elements)  # type: ignore[no-any-return]
    raise TypeError(f"only a tensor or an array can be placed, not a {type(value).__qualname__}")


def _shifted_tensor(torch: Any, value: Any, elements: int) -> Any:
    flat = torch.empty(value.numel() + elements, dtype=value.dtype, device=value.device)
    placed = flat[elements:].view(value.shape)
    with torch.no_grad():
        placed.copy_(value)
    return placed.requires_grad_(value.requires_grad)


def _shifted_array(numpy: Any, value: Any, elements: int) -> Any:
    size, grain = value.dtype.itemsize, 64
    buffer = numpy.zeros(value.nbytes + elements * size + grain, dtype="u1")
    start = -buffer.ctypes.data % grain + elements * size
    placed = buffer[start : start + value.nbytes].view(value.dtype).reshape(value.shape)
    placed[...] = value
    return placed


axis = Alignment()
