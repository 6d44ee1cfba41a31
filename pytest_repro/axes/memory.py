"""What uninitialised memory contains: fills ``torch.empty`` and ``np.empty`` with a number."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from pytest_repro.axes import Axis, as_tuple
from pytest_repro.axes._shared import require_distinct
from pytest_repro.core.plan.arguments import BadArgument
from pytest_repro.interpose.patch import Patch, has_passthrough, is_passthrough, patch_everywhere

_NUMPY_FUNCTIONS = ("empty", "empty_like")


class Memory(Axis):
    """``memory=True`` fills with 0 and with 1; ``memory=(0, 7)`` with these numbers.

    Covers what Python code asks for: ``torch.empty``, ``empty_like``, ``empty_strided``,
    ``Tensor.new_empty``, ``numpy.empty``, ``numpy.empty_like``; not what an op allocates itself.
    """

    cause_name = "uninitialised-memory"
    hints = ("torch.empty or np.empty that is read before it is written",)

    def resolve_values(self, argument: object) -> tuple[object, ...]:
        values = (0, 1) if argument is True else as_tuple(argument)
        if any(isinstance(each, bool) or not isinstance(each, (int, float)) for each in values):
            raise BadArgument(self.name, argument, "True, or the numbers to fill with: memory=(0, 1)")
        return require_distinct(self.name, values)

    def parse_option(self, text: str) -> object:
        for number in (int, float):
            with suppress(ValueError):
                return number(text)
        return text

    @contextmanager
    def applied(self, value: object) -> Iterator[None]:
        with ExitStack() as stack:
            if "torch" in sys.modules:
                stack.enter_context(_make_fill_mode(value))
            if (numpy := sys.modules.get("numpy")) is not None:
                patches = [Patch(numpy, n, _wrap_empty(getattr(numpy, n), value)) for n in _NUMPY_FUNCTIONS]
                stack.enter_context(patch_everywhere(patches))
            yield

    def format_value(self, value: object) -> str:
        return f"{value} in fresh memory"

    def format_pair(self, reference: object, value: object) -> str:
        return f"memory filled with {reference} and with {value}"


def _make_fill_mode(value: object) -> Any:
    import torch
    from torch.overrides import TorchFunctionMode

    functions = [torch.empty, torch.empty_like, torch.empty_strided, torch.empty_permuted]
    methods = [torch.Tensor.new_empty, torch.Tensor.new_empty_strided]
    makers, may_pass = {_unwrap(each) for each in [*functions, *methods]}, has_passthrough()

    class FillMode(TorchFunctionMode):
        """Fills the tensors that the functions for uninitialised memory return."""

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            made = func(*args, **(kwargs or {}))
            if _unwrap(func) in makers and made.layout is torch.strided and not made.is_quantized:
                if may_pass and is_passthrough(sys._getframe(1)):
                    return made
                with torch.no_grad():
                    _fill_tensor(made, value)
            return made

    return FillMode()


def _fill_tensor(tensor: Any, value: Any) -> None:
    """Fills a tensor with *value*, or its bytes with 0 or 1 if its dtype cannot hold that."""
    try:
        tensor.fill_(value)
    except (RuntimeError, ValueError):  # too large, NaN among integers, or a dtype without fill_
        with suppress(RuntimeError):
            tensor.view(sys.modules["torch"].uint8).fill_(bool(value))


def _unwrap(func: Any) -> Any:
    """The original of a function whose calls are logged: torch passes either one to the mode."""
    return getattr(func, "__wrapped__", func)


def _wrap_empty(real: Callable[..., Any], value: object) -> Callable[..., Any]:
    def empty(*args: Any, **named: Any) -> Any:
        made = real(*args, **named)
        _fill_array(made, value)
        return made

    return empty


def _fill_array(array: Any, value: Any) -> None:
    """Fills an array, field by field, with *value*, or with 0 or 1 if its dtype cannot hold that."""
    kind = array.dtype.kind
    if array.dtype.names is not None:
        for name in array.dtype.names:
            _fill_array(array[name], value)
    elif kind in "mM":
        _fill_array(array.view("i8"), value)
    elif kind in "biufc":
        try:
            array.fill(value if kind not in "iu" or value == int(value) else bool(value))
        except (OverflowError, ValueError):
            array.fill(bool(value))


axis = Memory()
