"""The default floating-point dtype: what ``torch.ones(2)`` and ``nn.Linear`` use."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext

from pytest_repro.axes import Axis, as_tuple
from pytest_repro.axes._shared import read_torch_generators, require_distinct, set_for_block
from pytest_repro.core.plan.arguments import BadArgument

_NAMES = ("float16", "bfloat16", "float32", "float64")
_ALIASES = {"bf16": "bfloat16"}


class Dtype(Axis):
    """``dtype=("float32", "float64")``: names, the reference first."""

    close_by_default = True
    mixes_dtypes = True
    comparable_ops = False
    preposition = "in"
    hints = (
        "inputs drawn in the default dtype: float64 draws other numbers than float32. Draw them in",
        "one dtype and convert: torch.randn(3, dtype=torch.float32).to(torch.get_default_dtype())",
    )
    cause_fix = (
        "draw inputs in one dtype and convert them; if they are equal, look for differences of large "
        "numbers, and for sums that need a wider accumulator"
    )

    def resolve_values(self, argument: object) -> tuple[object, ...]:
        if argument is True:
            return "float32", "float64"
        values = as_tuple(argument)
        if any(not isinstance(each, str) or _ALIASES.get(each, each) not in _NAMES for each in values):
            raise BadArgument(self.name, argument, f"names of floating dtypes: {', '.join(_NAMES)}")
        return require_distinct(self.name, values, lambda each: _ALIASES.get(each, each))

    def why_unavailable(self, value: object) -> str:
        return "" if "torch" in sys.modules else "torch is not imported, and numpy has no default dtype"

    def get_generator_states(self) -> object:
        return read_torch_generators()

    def applied(self, value: object) -> AbstractContextManager[None]:
        if (torch := sys.modules.get("torch")) is None:
            return nullcontext()
        dtype = getattr(torch, _ALIASES.get(str(value), str(value)))
        return set_for_block(torch.set_default_dtype, dtype, torch.get_default_dtype())

    def format_value(self, value: object) -> str:
        return str(value)

    def explain_difference(self, reference: object, value: object) -> str:
        pair = self.format_pair(reference, value)
        return f"runs repeat in each dtype, and {pair} differ by more than the rounding of the coarser one"


axis = Dtype()
