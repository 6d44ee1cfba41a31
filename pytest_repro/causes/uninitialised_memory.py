"""Memory that is read before it is written."""

from __future__ import annotations

from contextlib import AbstractContextManager

from pytest_repro.axes import get_axis
from pytest_repro.causes import Cause, WatchedFunction

_EFFECT = "returns memory with its previous contents"


def _watch(function: str, fix: str, label: str = "") -> WatchedFunction:
    return WatchedFunction(function, _EFFECT, f"write each element before reading it, or use {fix}", label)


class UninitialisedMemory(Cause):
    """``torch.empty``, ``np.empty`` and the like: suspended, the axis ``memory`` fills them with 0.

    Not suspended: ``numpy.ndarray(shape)``, ``ndarray.resize``, and what an op allocates itself.
    """

    depends_on_layout = True
    explanation = "memory is read before it is written"
    fix = "use zeros instead of empty, or write each element before reading it"
    watched_functions = (
        *(_watch(f"torch:{name}", "torch.zeros()") for name in ("empty", "empty_strided", "empty_permuted")),
        _watch("torch:empty_like", "torch.zeros_like()"),
        _watch("torch:Tensor.new_empty", "Tensor.new_zeros()", "Tensor.new_empty()"),
        _watch("torch:Tensor.new_empty_strided", "Tensor.new_zeros()", "Tensor.new_empty_strided()"),
        _watch("torch:Tensor.resize_", "torch.zeros()", "Tensor.resize_()"),
        _watch("numpy:empty", "np.zeros()"),
        _watch("numpy:empty_like", "np.zeros_like()"),
    )

    def suspend(self, seed: int, variant: str = "") -> AbstractContextManager[None]:
        return get_axis("memory").applied(0)


cause = UninitialisedMemory()
