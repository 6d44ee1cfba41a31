"""Every switch of torch on which repeatability hangs, as one set: saved, set, restored."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import torch.utils.deterministic

from pytest_repro.core.plan.plan import Deterministic

_CUBLAS = "CUBLAS_WORKSPACE_CONFIG"
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_VARIABLES = (
    _CUBLAS, *THREADS, "MKL_CBWR",
    "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "NVIDIA_TF32_OVERRIDE", "PYTHONHASHSEED",
)  # fmt: skip


class SwitchTooLate(UserWarning):
    """A determinism switch that has no effect any more, because its library has started."""


@dataclass(frozen=True, slots=True)
class Switch:
    """One switch: how it is read and set."""

    name: str
    get: Callable[[], Any]
    put: Callable[[Any], None]


def _algorithms() -> str:
    mode = torch.get_deterministic_debug_mode()
    return ("off", "warn", "on")[mode]


def _set_algorithms(mode: str) -> None:
    """As ``torch.use_deterministic_algorithms``, without the 0.9 s of its first call.

    That call imports ``torch._inductor.config`` to set one flag there, which matters only once
    something was compiled: then the module is there, and is set as well.
    """
    low_level = getattr(torch._C, "_set_deterministic_algorithms", None)
    if low_level is None or "torch._inductor.config" in sys.modules:
        torch.use_deterministic_algorithms(mode != "off", warn_only=mode == "warn")
    else:
        low_level(mode != "off", warn_only=mode == "warn")


def _attribute(owner: Any, name: str, label: str) -> Switch:
    return Switch(label, lambda: getattr(owner, name), lambda value: setattr(owner, name, value))


def _precision(backend: str, op: str) -> Switch:
    # Through torch.backends.mkldnn.fp32_precision, torch 2.13 sets the generic key by mistake.
    def put(value: Any) -> None:
        # What a switch inherits from a wider one reads like its own: it is left to inherit it.
        torch._C._set_fp32_precision_setter(backend, op, "none")
        if get() != value:
            torch._C._set_fp32_precision_setter(backend, op, value)

    def get() -> Any:
        return torch._C._get_fp32_precision_getter(backend, op)

    return Switch(f"{backend}.{op}.fp32_precision", get, put)


_OLD = ("float32_matmul_precision", "cudnn.allow_tf32")
_TOUCHED = (("cuda", "matmul"), ("mkldnn", "matmul"), ("cuda", "conv"), ("cuda", "rnn"))
"""The old switches of precision, and what they set beside themselves."""


def _as_before(switch: Switch) -> Switch:
    """A switch that torch 2.9 has replaced and keeps: to read it raises where the new ones disagree."""

    def get() -> Any:
        try:
            return switch.get()
        except RuntimeError:
            return None

    def put(value: Any) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it tells whoever sets it to use the new ones
            if value is not None:
                switch.put(value)
                for key in _TOUCHED if _by_keys() else ():
                    torch._C._set_fp32_precision_setter(*key, "none")

    return Switch(switch.name, get, put)


def _precisions() -> list[Switch]:
    matmul = torch.get_float32_matmul_precision, torch.set_float32_matmul_precision
    before = [
        _as_before(Switch(_OLD[0], *matmul)),
        _as_before(_attribute(torch.backends.cudnn, "allow_tf32", _OLD[1])),
    ]
    if not _by_keys():
        return before
    keys = [(b, op) for b in ("cuda", "mkldnn") for op in ("all", "conv", "rnn", "matmul")]
    return [*(_precision(*key) for key in [("generic", "all"), *keys]), *before]


def _by_keys() -> bool:
    """Whether precisions are set by backend and op, as from torch 2.9 on."""
    return hasattr(torch._C, "_get_fp32_precision_getter")


def _attention() -> list[Switch]:
    cuda: Any = torch.backends.cuda
    names = {
        "flash_sdp": "flash_sdp_enabled",
        "mem_efficient_sdp": "mem_efficient_sdp_enabled",
        "math_sdp": "math_sdp_enabled",
        "cudnn_sdp": "cudnn_sdp_enabled",
    }
    return [
        Switch(name, getattr(cuda, getter), getattr(cuda, f"enable_{name}"))
        for name, getter in names.items()
        if hasattr(cuda, f"enable_{name}")
    ]


def default_device() -> Any:
    """What was given to ``torch.set_default_device``, as it was given; None where nothing was.

    ``torch.get_default_device`` tells of a surrounding ``with torch.device(…)`` instead, and adds an
    index: set again, either would be left behind.
    """
    return getattr(getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None), "device", None)


def _variable(name: str) -> Switch:
    def put(value: str | None) -> None:
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value

    return Switch(name, lambda: os.environ.get(name), put)


@cache
def switches() -> tuple[Switch, ...]:
    """Every switch that this torch has, by a name that says where it is found."""
    matmul = torch.backends.cuda.matmul
    rows = [
        Switch("deterministic_algorithms", _algorithms, _set_algorithms),
        _attribute(torch.utils.deterministic, "fill_uninitialized_memory", "fill_uninitialized_memory"),
        _attribute(torch.backends.cudnn, "benchmark", "cudnn.benchmark"),
        _attribute(torch.backends.cudnn, "deterministic", "cudnn.deterministic"),
        _attribute(torch.backends.mkldnn, "deterministic", "mkldnn.deterministic"),
        *_precisions(),
        _attribute(matmul, "allow_fp16_reduced_precision_reduction", "fp16_reduced_precision"),
        _attribute(matmul, "allow_bf16_reduced_precision_reduction", "bf16_reduced_precision"),
        *_attention(),
        Switch("default_dtype", torch.get_default_dtype, torch.set_default_dtype),
        Switch("default_device", default_device, torch.set_default_device),
        Switch("grad_mode", torch.is_grad_enabled, torch._C._set_grad_enabled),
        Switch("threads", torch.get_num_threads, torch.set_num_threads),
        *(_variable(name) for name in _VARIABLES),
    ]
    return tuple(row for row in rows if _readable(row))


def _readable(switch: Switch) -> bool:
    try:
        switch.get()
    except (AttributeError, RuntimeError):
        return False
    return True


def _wanted(mode: Deterministic) -> dict[str, Any]:
    if mode is False:
        return {"deterministic_algorithms": "off"}
    wanted: dict[str, Any] = {
        "deterministic_algorithms": "warn" if mode == "warn" else "on",
        "fill_uninitialized_memory": True,
        "cudnn.benchmark": False,
        "cudnn.deterministic": True,
        "mkldnn.deterministic": True,
    }
    if _cublas_needs_telling():
        wanted[_CUBLAS] = ":4096:8"
    return wanted


def _cublas_needs_telling() -> bool:
    """Up to torch 2.9 cuBLAS is deterministic only with a workspace of fixed size."""
    if torch.version.cuda is None or _CUBLAS in os.environ or _version() >= (2, 10):
        return False
    cuda: Any = torch.cuda
    if cuda.is_initialized():  # torch looks at it in the first product: set, it may still be in time
        warnings.warn(
            f"{_CUBLAS} may come too late: CUDA has started, and cuBLAS reads it when it is first used. "
            f"Set {_CUBLAS}=:4096:8 in the environment before pytest starts.",
            SwitchTooLate,
            stacklevel=2,
        )
    return True


def _version() -> tuple[int, ...]:
    return tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])


@contextmanager
def deterministic(mode: Deterministic) -> Iterator[None]:
    """Sets the switches to *mode* and restores every one of them, whatever happens.

    Args:
        mode: True: deterministic algorithms and what goes with them; ``"warn"``: the same, but an
            op that has none warns instead of raising; False: deterministic algorithms off.
    """
    with ExitStack() as stack:  # restores the others, in turn, where one of them cannot be
        before = [(row, row.get()) for row in switches()]
        for row, value in reversed(before):
            stack.callback(_restore, row, value, before)
        wanted = _wanted(mode)
        for row in switches():
            if row.name in wanted:
                row.put(wanted[row.name])
        yield


def _restore(row: Switch, value: Any, before: Sequence[tuple[Switch, Any]] = ()) -> None:
    if row.get() != value:
        row.put(value)
        if row.name in _OLD:  # which sets some of the new ones as well
            for other, its in before:
                if other.name.endswith("fp32_precision"):
                    _restore(other, its)
