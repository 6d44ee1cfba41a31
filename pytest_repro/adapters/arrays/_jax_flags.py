"""The flags of JAX that could change a result, and XLA's switch for deterministic ops on a GPU."""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Any

import jax

from pytest_repro.adapters import SwitchTooLate
from pytest_repro.core.plan.plan import Deterministic

_NAMES = (
    "allow_f16_reductions",
    "debug_infs",
    "debug_key_reuse",
    "debug_nans",
    "default_device",
    "default_matmul_precision",
    "default_prng_impl",
    "disable_jit",
    "enable_custom_prng",
    "enable_x64",
    "explicit_x64_dtypes",
    "high_dynamic_range_gumbel",
    "legacy_prng_key",
    "numpy_dtype_promotion",
    "numpy_rank_promotion",
    "optimization_level",
    "random_seed_offset",
    "softmax_custom_jvp",
    "threefry_partitionable",
)
_CHANGES_NO_RESULT = {"jax_debug_key_reuse"}
GPU_FLAG = "--xla_gpu_deterministic_ops"
_GPU_FLAGS = re.compile(r"--xla_gpu_(deterministic_ops|exclude_nondeterministic_ops)\b")
_active_blocks: list[dict[str, Any]] = []  # the values before each block
_is_deterministic_backend: list[bool] = []  # not empty once the backend has started in a block


@cache
def _list_names() -> tuple[str, ...]:
    return tuple(name for name in (f"jax_{each}" for each in _NAMES) if hasattr(jax.config, name))


def read_flags() -> dict[str, Any]:
    """The flags by name; starts no backend."""
    return {name: getattr(jax.config, name) for name in _list_names()}


def set_flag(name: str, value: object) -> None:
    """Sets a flag, unless it has that value: JAX would look its compiled functions up again."""
    if getattr(jax.config, name) != value:
        jax.config.update(name, value)


def list_result_flags() -> dict[str, str]:
    """The flags that could change a result, as text."""
    return {name: str(value) for name, value in read_flags().items() if name not in _CHANGES_NO_RESULT}


@contextmanager
def deterministic(mode: Deterministic) -> Iterator[None]:
    """Restores all flags after the block; unless *mode* is False, a GPU that it starts is deterministic."""
    saved = read_flags()
    _active_blocks.append(saved)
    before = os.environ.get("XLA_FLAGS")
    is_set = mode is not False and _needs_gpu_flag() and not _warn_if_too_late()
    if is_set:
        os.environ["XLA_FLAGS"] = f"{before or ''} {GPU_FLAG}=true".strip()
    try:
        yield
    finally:
        if is_set:
            _restore_variable(before)
        _active_blocks[:] = [block for block in _active_blocks if block is not saved]
        if read_flags() != saved:
            for name, value in saved.items():
                set_flag(name, value)


def _restore_variable(before: str | None) -> None:
    if are_backends_started():
        _is_deterministic_backend.append(True)
    os.environ.pop("XLA_FLAGS", None)
    if before is not None:
        os.environ["XLA_FLAGS"] = before


@contextmanager
def leave_switches(varied: Collection[str]) -> Iterator[None]:
    """What the block sets flags to, such as a module that it imports, outlives :func:`deterministic`."""
    before = read_flags()
    try:
        yield
    finally:
        changes = {name: value for name, value in read_flags().items() if value != before[name]}
        for saved in _active_blocks:
            saved.update(changes)


def _needs_gpu_flag() -> bool:
    return _has_gpu_plugin() and not _GPU_FLAGS.search(os.environ.get("XLA_FLAGS", ""))


@cache
def _has_gpu_plugin() -> bool:
    return any("cuda" in name or "rocm" in name for name in list_plugins())


def _warn_if_too_late() -> bool:
    if not are_backends_started():
        return False
    if not _is_deterministic_backend:
        warnings.warn(
            f"XLA_FLAGS is set too late: JAX has started its devices, and reads it only then. Set "
            f"XLA_FLAGS={GPU_FLAG}=true in the environment before pytest starts.",
            SwitchTooLate,
            stacklevel=4,
        )
    return True


def are_backends_started() -> bool:
    """Whether JAX has started its devices; False if this version does not say."""
    bridge = sys.modules.get("jax._src.xla_bridge")
    is_started = getattr(bridge, "backends_are_initialized", None)
    return bool(is_started()) if callable(is_started) else False


@cache
def list_plugins() -> tuple[str, ...]:
    """The names of the installed plugins for devices, which are not loaded: ``xla_cuda12``."""
    spec = find_spec("jax_plugins")
    modules = iter_modules(list(spec.submodule_search_locations or ())) if spec is not None else ()
    points = entry_points(group="jax_plugins")
    return tuple(sorted({*(module.name for module in modules), *(point.name for point in points)}))


def describe_devices() -> str:
    """``"1 × cpu"``. Before JAX has started its devices, what they will be if that is certain."""
    if are_backends_started():
        devices = jax.devices()
        return f"{len(devices)} × {devices[0].device_kind}"
    if list_plugins() or jax.config.jax_platforms not in (None, "", "cpu") or find_spec("libtpu") is not None:
        return "not started"
    count = re.search(r"--xla_force_host_platform_device_count=(\d+)", os.environ.get("XLA_FLAGS", ""))
    number = getattr(jax.config, "jax_num_cpu_devices", -1)
    return f"{number if number > 0 else count[1] if count else 1} × cpu"
