"""The switches of torch that affect reproducibility."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import torch
import torch.utils.deterministic

_environ: Any = os.environ
_HAS_KNOWN_LAYOUT = isinstance(getattr(_environ, "_data", None), dict) and hasattr(_environ, "encodekey")
"""Whether ``os.environ`` keeps its variables in a dict of encoded words: these names are private."""


def make_variable_reader(name: str) -> Callable[[], str | None]:
    """As ``os.environ.get(name)``, which raises and catches in 0.7 to 2 µs; this takes 0.1."""
    if not _HAS_KNOWN_LAYOUT:
        return lambda: os.environ.get(name)
    key = _environ.encodekey(name)

    def read() -> str | None:
        value = _environ._data.get(key)
        return None if value is None else _environ.decodevalue(value)

    return read


CUBLAS_VARIABLE = "CUBLAS_WORKSPACE_CONFIG"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_CPU_VARIABLES = (*THREAD_VARIABLES, "MKL_CBWR", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA")
_ENVIRONMENT_VARIABLES = (CUBLAS_VARIABLE, *_CPU_VARIABLES, "NVIDIA_TF32_OVERRIDE", "PYTHONHASHSEED")


class Switch(NamedTuple):
    """One setting and its accessors."""

    name: str
    get: Callable[[], Any]
    set: Callable[[Any], None]


def _get_algorithms() -> str:
    return ("off", "warn", "on")[torch.get_deterministic_debug_mode()]


def _set_algorithms(mode: str) -> None:
    """Same as ``torch.use_deterministic_algorithms``, without the 0.9 s of its first call.

    That call imports ``torch._inductor.config`` to set a flag that matters only after something was
    compiled; by then the module is imported, and its flag is set.
    """
    low_level = getattr(torch._C, "_set_deterministic_algorithms", None)
    if low_level is None or "torch._inductor.config" in sys.modules:
        torch.use_deterministic_algorithms(mode != "off", warn_only=mode == "warn")
    else:
        low_level(mode != "off", warn_only=mode == "warn")


def _make_attribute_switch(owner: Any, name: str, label: str = "") -> Switch:
    return Switch(label or name, lambda: getattr(owner, name), lambda value: setattr(owner, name, value))


def _make_precision_switch(backend: str, op: str) -> Switch:
    # Through torch.backends.mkldnn.fp32_precision, torch 2.13 sets the generic key by mistake.
    def put(value: Any) -> None:
        # An inherited value reads like an own one: keep inheriting if that gives the value.
        torch._C._set_fp32_precision_setter(backend, op, "none")
        if get() != value:
            torch._C._set_fp32_precision_setter(backend, op, value)

    def get() -> Any:
        return torch._C._get_fp32_precision_getter(backend, op)

    return Switch(f"{backend}.{op}.fp32_precision", get, put)


LEGACY_SWITCHES = ("float32_matmul_precision", "cudnn.allow_tf32")
_LEGACY_TARGETS = (("cuda", "matmul"), ("mkldnn", "matmul"), ("cuda", "conv"), ("cuda", "rnn"))
"""The precision switches before torch 2.9, and the newer ones that they set too."""
_HAS_PRECISION_KEYS = hasattr(torch._C, "_get_fp32_precision_getter")
"""Whether precisions are set by backend and op (torch 2.9 and later)."""


def _wrap_legacy_switch(switch: Switch) -> Switch:
    """A switch that torch 2.9 replaced but kept: reading it raises if the newer ones disagree."""

    def get() -> Any:
        try:
            return switch.get()
        except RuntimeError:
            return None

    def put(value: Any) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch recommends the newer ones
            if value is not None:
                switch.set(value)
                for key in _LEGACY_TARGETS if _HAS_PRECISION_KEYS else ():
                    torch._C._set_fp32_precision_setter(*key, "none")

    return Switch(switch.name, get, put)


def _make_precision_switches() -> list[Switch]:
    ops = [(backend, op) for backend in ("cuda", "mkldnn") for op in ("all", "conv", "rnn", "matmul")]
    keys = [("generic", "all"), *ops] if _HAS_PRECISION_KEYS else []
    matmul = torch.get_float32_matmul_precision, torch.set_float32_matmul_precision
    return [
        *(_make_precision_switch(*key) for key in keys),
        _wrap_legacy_switch(Switch(LEGACY_SWITCHES[0], *matmul)),
        _wrap_legacy_switch(_make_attribute_switch(torch.backends.cudnn, "allow_tf32", LEGACY_SWITCHES[1])),
    ]


def get_default_device() -> Any:
    """The argument of ``torch.set_default_device``; None if it was not called.

    ``torch.get_default_device`` returns that of a surrounding ``with torch.device(…)`` and adds an
    index, so it cannot be used to restore the default.
    """
    return getattr(getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None), "device", None)


def _make_variable_switch(name: str) -> Switch:
    def put(value: str | None) -> None:
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value

    return Switch(name, make_variable_reader(name), put)


@cache
def list_switches() -> tuple[Switch, ...]:
    """Every switch of the installed torch, named after its attribute."""
    cuda: Any = torch.backends.cuda
    matmul = cuda.matmul
    switches = [
        Switch("deterministic_algorithms", _get_algorithms, _set_algorithms),
        _make_attribute_switch(torch.utils.deterministic, "fill_uninitialized_memory"),
        _make_attribute_switch(torch.backends.cudnn, "benchmark", "cudnn.benchmark"),
        _make_attribute_switch(torch.backends.cudnn, "deterministic", "cudnn.deterministic"),
        _make_attribute_switch(torch.backends.mkldnn, "deterministic", "mkldnn.deterministic"),
        *_make_precision_switches(),
        _make_attribute_switch(matmul, "allow_fp16_reduced_precision_reduction", "fp16_reduced_precision"),
        _make_attribute_switch(matmul, "allow_bf16_reduced_precision_reduction", "bf16_reduced_precision"),
        *(
            Switch(name, getattr(cuda, f"{name}_enabled"), getattr(cuda, f"enable_{name}"))
            for name in ("flash_sdp", "mem_efficient_sdp", "math_sdp", "cudnn_sdp")
            if hasattr(cuda, f"enable_{name}")
        ),
        Switch("default_dtype", torch.get_default_dtype, torch.set_default_dtype),
        Switch("default_device", get_default_device, torch.set_default_device),
        Switch("grad_mode", torch.is_grad_enabled, torch._C._set_grad_enabled),
        Switch("threads", torch.get_num_threads, torch.set_num_threads),
        *(_make_variable_switch(name) for name in _ENVIRONMENT_VARIABLES),
    ]
    return tuple(switch for switch in switches if _is_readable(switch))


def read_switches() -> list[tuple[str, object]]:
    """The values of the switches, by the names that reports use."""
    return [(f"torch {switch.name}", switch.get()) for switch in list_switches()]


def set_switch(name: str, value: object) -> bool:
    """Sets the switch of that name in reports; returns whether there is one."""
    return any(switch.set(value) is None for switch in list_switches() if name == f"torch {switch.name}")


def _is_readable(switch: Switch) -> bool:
    try:
        switch.get()
    except (AttributeError, RuntimeError):
        return False
    return True
