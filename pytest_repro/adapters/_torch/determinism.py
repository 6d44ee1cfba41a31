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

_CUBLAS_VARIABLE = "CUBLAS_WORKSPACE_CONFIG"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_ENVIRONMENT_VARIABLES = (
    _CUBLAS_VARIABLE, *THREAD_VARIABLES, "MKL_CBWR",
    "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "NVIDIA_TF32_OVERRIDE", "PYTHONHASHSEED",
)  # fmt: skip


class SwitchTooLate(UserWarning):
    """A determinism switch that has no effect any more, because its library has started."""


@dataclass(frozen=True, slots=True)
class Switch:
    """One switch: how it is read and set."""

    name: str
    get: Callable[[], Any]
    set: Callable[[Any], None]


def _get_algorithms() -> str:
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


def _make_attribute_switch(owner: Any, name: str, label: str) -> Switch:
    return Switch(label, lambda: getattr(owner, name), lambda value: setattr(owner, name, value))


def _make_precision_switch(backend: str, op: str) -> Switch:
    # Through torch.backends.mkldnn.fp32_precision, torch 2.13 sets the generic key by mistake.
    def put(value: Any) -> None:
        # What a switch inherits from a wider one reads like its own: it is left to inherit it.
        torch._C._set_fp32_precision_setter(backend, op, "none")
        if get() != value:
            torch._C._set_fp32_precision_setter(backend, op, value)

    def get() -> Any:
        return torch._C._get_fp32_precision_getter(backend, op)

    return Switch(f"{backend}.{op}.fp32_precision", get, put)


_LEGACY = ("float32_matmul_precision", "cudnn.allow_tf32")
_LEGACY_TARGETS = (("cuda", "matmul"), ("mkldnn", "matmul"), ("cuda", "conv"), ("cuda", "rnn"))
"""The old switches of precision, and what they set beside themselves."""


def _wrap_legacy_switch(switch: Switch) -> Switch:
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
                switch.set(value)
                for key in _LEGACY_TARGETS if _has_precision_keys() else ():
                    torch._C._set_fp32_precision_setter(*key, "none")

    return Switch(switch.name, get, put)


def _make_precision_switches() -> list[Switch]:
    matmul = torch.get_float32_matmul_precision, torch.set_float32_matmul_precision
    before = [
        _wrap_legacy_switch(Switch(_LEGACY[0], *matmul)),
        _wrap_legacy_switch(_make_attribute_switch(torch.backends.cudnn, "allow_tf32", _LEGACY[1])),
    ]
    if not _has_precision_keys():
        return before
    keys = [(b, op) for b in ("cuda", "mkldnn") for op in ("all", "conv", "rnn", "matmul")]
    return [*(_make_precision_switch(*key) for key in [("generic", "all"), *keys]), *before]


def _has_precision_keys() -> bool:
    """Whether precisions are set by backend and op, as from torch 2.9 on."""
    return hasattr(torch._C, "_get_fp32_precision_getter")


def _make_attention_switches() -> list[Switch]:
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


def get_default_device() -> Any:
    """What was given to ``torch.set_default_device``, as it was given; None where nothing was.

    ``torch.get_default_device`` tells of a surrounding ``with torch.device(…)`` instead, and adds an
    index: set again, either would be left behind.
    """
    return getattr(getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None), "device", None)


def _make_variable_switch(name: str) -> Switch:
    def put(value: str | None) -> None:
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value

    return Switch(name, lambda: os.environ.get(name), put)


@cache
def list_switches() -> tuple[Switch, ...]:
    """Every switch that this torch has, by a name that says where it is found."""
    matmul = torch.backends.cuda.matmul
    rows = [
        Switch("deterministic_algorithms", _get_algorithms, _set_algorithms),
        _make_attribute_switch(
            torch.utils.deterministic, "fill_uninitialized_memory", "fill_uninitialized_memory"
        ),
        _make_attribute_switch(torch.backends.cudnn, "benchmark", "cudnn.benchmark"),
        _make_attribute_switch(torch.backends.cudnn, "deterministic", "cudnn.deterministic"),
        _make_attribute_switch(torch.backends.mkldnn, "deterministic", "mkldnn.deterministic"),
        *_make_precision_switches(),
        _make_attribute_switch(matmul, "allow_fp16_reduced_precision_reduction", "fp16_reduced_precision"),
        _make_attribute_switch(matmul, "allow_bf16_reduced_precision_reduction", "bf16_reduced_precision"),
        *_make_attention_switches(),
        Switch("default_dtype", torch.get_default_dtype, torch.set_default_dtype),
        Switch("default_device", get_default_device, torch.set_default_device),
        Switch("grad_mode", torch.is_grad_enabled, torch._C._set_grad_enabled),
        Switch("threads", torch.get_num_threads, torch.set_num_threads),
        *(_make_variable_switch(name) for name in _ENVIRONMENT_VARIABLES),
    ]
    return tuple(row for row in rows if _is_readable(row))


def _is_readable(switch: Switch) -> bool:
    try:
        switch.get()
    except (AttributeError, RuntimeError):
        return False
    return True


def _get_target_values(mode: Deterministic) -> dict[str, Any]:
    if mode is False:
        return {"deterministic_algorithms": "off"}
    wanted: dict[str, Any] = {
        "deterministic_algorithms": "warn" if mode == "warn" else "on",
        "fill_uninitialized_memory": True,
        "cudnn.benchmark": False,
        "cudnn.deterministic": True,
        "mkldnn.deterministic": True,
    }
    if _needs_cublas_workspace():
        wanted[_CUBLAS_VARIABLE] = ":4096:8"
    return wanted


def _needs_cublas_workspace() -> bool:
    """Up to torch 2.9 cuBLAS is deterministic only with a workspace of fixed size."""
    if torch.version.cuda is None or _CUBLAS_VARIABLE in os.environ or _parse_torch_version() >= (2, 10):
        return False
    cuda: Any = torch.cuda
    if cuda.is_initialized():  # torch looks at it in the first product: set, it may still be in time
        warnings.warn(
            f"{_CUBLAS_VARIABLE} may come too late: CUDA has started, and cuBLAS reads it when it is first used. "
            f"Set {_CUBLAS_VARIABLE}=:4096:8 in the environment before pytest starts.",
            SwitchTooLate,
            stacklevel=2,
        )
    return True


def _parse_torch_version() -> tuple[int, ...]:
    return tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])


@contextmanager
def deterministic(mode: Deterministic) -> Iterator[None]:
    """Sets the switches to *mode* and restores every one of them, whatever happens.

    Args:
        mode: True: deterministic algorithms and what goes with them; ``"warn"``: the same, but an
            op that has none warns instead of raising; False: deterministic algorithms off.
    """
    with ExitStack() as stack:  # restores the others, in turn, where one of them cannot be
        before = [(row, row.get()) for row in list_switches()]
        for row, value in reversed(before):
            stack.callback(_restore, row, value, before)
        wanted = _get_target_values(mode)
        for row in list_switches():
            if row.name in wanted:
                row.set(wanted[row.name])
        yield


def _restore(switch: Switch, value: Any, saved_values: Sequence[tuple[Switch, Any]] = ()) -> None:
    if switch.get() != value:
        switch.set(value)
        if switch.name in _LEGACY:  # which sets some of the new ones as well
            for other, its in saved_values:
                if other.name.endswith("fp32_precision"):
                    _restore(other, its)
