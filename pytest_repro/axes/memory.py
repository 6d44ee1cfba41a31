"""What uninitialised memory holds: ``torch.empty`` and ``np.empty`` filled with a number."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, ClassVar

from pytest_repro.axes import Axis, distinct, listed
from pytest_repro.core.plan import BadArgument


class Memory(Axis):
    """``memory=True`` fills with 0 and with 1; or the numbers themselves, ``memory=(0, 7)``.

    Filled is what Python code asks for: ``torch.empty``, ``empty_like``, ``empty_strided``,
    ``Tensor.new_empty``, ``numpy.empty``, ``numpy.empty_like``. What an op allocates for itself is
    out of reach.
    """

    look_for: ClassVar = ("torch.empty or np.empty that is read before it is written",)

    def values(self, given: object) -> tuple[object, ...]:
        values = (0, 1) if given is True else listed(given)
        if any(isinstance(each, bool) or not isinstance(each, (int, float)) for each in values):
            raise BadArgument(self.name, given, "True, or the numbers to fill with: memory=(0, 1)")
        return distinct(self.name, values)

    def read(self, text: str) -> object:
        for number in (int, float):
            with suppress(ValueError):
                return number(text)
        return text

    @contextmanager
    def applied(self, value: object) -> Iterator[None]:
        with ExitStack() as stack:
            if "torch" in sys.modules:
                stack.enter_context(_filling(value))
            if "numpy" in sys.modules:
                stack.enter_context(_numpy_filled(value))
            yield

    def called(self, value: object) -> str:
        return f"{value} in fresh memory"

    def between(self, reference: object, value: object) -> str:
        return f"memory filled with {reference} and with {value}"


def _filling(value: object) -> Any:
    import torch
    from torch.overrides import TorchFunctionMode

    tensor = torch.Tensor
    makers = {
        torch.empty, torch.empty_like, torch.empty_strided, torch.empty_permuted,
        tensor.new_empty, tensor.new_empty_strided,
    }  # fmt: skip

    class Filling(TorchFunctionMode):
        """Fills what the makers of uninitialised tensors give."""

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            made = func(*args, **(kwargs or {}))
            if func in makers and made.layout is torch.strided and not made.is_quantized:
                with torch.no_grad():
                    _fill(made, value, torch.uint8)
            return made

    return Filling()


def _fill(made: Any, value: Any, byte: Any) -> None:
    """Fills a tensor with *value*, or where its dtype cannot hold that, its bytes with 0 or 1."""
    try:
        made.fill_(value)
    except (RuntimeError, ValueError):  # too large, NaN among integers, or a dtype without fill_
        with suppress(RuntimeError):
            made.view(byte).fill_(bool(value))


@contextmanager
def _numpy_filled(value: object) -> Iterator[None]:
    import numpy

    before = {name: getattr(numpy, name) for name in ("empty", "empty_like")}
    try:
        for name, real in before.items():
            setattr(numpy, name, _filled(real, value))
        yield
    finally:
        for name, real in before.items():
            setattr(numpy, name, real)


def _filled(real: Callable[..., Any], value: object) -> Callable[..., Any]:
    def empty(*args: Any, **named: Any) -> Any:
        made = real(*args, **named)
        if made.dtype.kind in "biufc":
            try:
                made.fill(value)
            except (OverflowError, ValueError):  # the dtype cannot hold it
                made.fill(bool(value))
        return made

    return empty


axis = Memory()
