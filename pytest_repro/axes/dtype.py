"""The default dtype of floating point: what ``torch.ones(2)`` and ``nn.Linear`` are made of."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from pytest_repro.axes import Axis, distinct, generators, listed
from pytest_repro.core.plan.plan import BadArgument

_NAMES = ("float16", "bfloat16", "float32", "float64")
_SHORT = {"bf16": "bfloat16"}


class Dtype(Axis):
    """``dtype=("float32", "float64")``: names, the reference's first."""

    close = True
    mixed = True
    preposition = "in"
    look_for: ClassVar = (
        "inputs drawn in the default dtype: float64 draws other numbers than float32. Draw them in",
        "one dtype and convert: torch.randn(3, dtype=torch.float32).to(torch.get_default_dtype())",
    )

    def values(self, given: object) -> tuple[object, ...]:
        if given is True:
            return "float32", "float64"
        values = listed(given)
        if any(not isinstance(each, str) or _SHORT.get(each, each) not in _NAMES for each in values):
            raise BadArgument(self.name, given, f"names of floating dtypes: {', '.join(_NAMES)}")
        return distinct(self.name, values, lambda each: _SHORT.get(each, each))

    def missing(self, value: object) -> str:
        return "" if "torch" in sys.modules else "torch is not imported, and numpy has no default dtype"

    def drawn(self) -> object:
        return generators()

    @contextmanager
    def applied(self, value: object) -> Iterator[None]:
        if "torch" not in sys.modules:
            yield
            return
        import torch

        before = torch.get_default_dtype()
        name = str(value)
        torch.set_default_dtype(getattr(torch, _SHORT.get(name, name)))
        try:
            yield
        finally:
            torch.set_default_dtype(before)

    def called(self, value: object) -> str:
        return str(value)


axis = Dtype()
