"""Memory that is read before it is written."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import ClassVar

from pytest_repro.axes import named
from pytest_repro.causes import Cause, Row

_SAYS = "gives memory that holds what was there before"


def _maker(where: str, fix: str, what: str = "") -> Row:
    return Row(where, _SAYS, f"write each element before it is read, or take {fix}", what)


class UninitialisedMemory(Cause):
    """``torch.empty``, ``np.empty`` and their kin: suspended, filled with 0 by the axis ``memory``.

    Out of reach: ``numpy.ndarray(shape)``, ``ndarray.resize``, and what an op allocates for itself.
    """

    says = "memory is read before it is written"
    fix = "take zeros instead of empty, or write each element before it is read"
    rows: ClassVar[Sequence[Row]] = (
        _maker("torch:empty", "torch.zeros()"),
        _maker("torch:empty_like", "torch.zeros_like()"),
        _maker("torch:empty_strided", "torch.zeros()"),
        _maker("torch:empty_permuted", "torch.zeros()"),
        _maker("torch:Tensor.new_empty", "Tensor.new_zeros()", "Tensor.new_empty()"),
        _maker("torch:Tensor.new_empty_strided", "Tensor.new_zeros()", "Tensor.new_empty_strided()"),
        _maker("torch:Tensor.resize_", "torch.zeros()", "Tensor.resize_()"),
        _maker("numpy:empty", "np.zeros()"),
        _maker("numpy:empty_like", "np.zeros_like()"),
    )

    def suspended(self, seed: int) -> AbstractContextManager[None]:
        return named("memory").applied(0)


cause = UninitialisedMemory()
