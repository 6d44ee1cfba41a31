"""Deterministic mode of torch: its switches, set and restored together."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from pytest_repro.adapters import SwitchTooLate
from pytest_repro.adapters._torch.switches import CUBLAS_VARIABLE, LEGACY_SWITCHES, Switch, list_switches
from pytest_repro.core.plan.plan import Deterministic


def _get_target_values(mode: Deterministic) -> dict[str, Any]:
    if mode is False:
        return {"deterministic_algorithms": "off"}
    return {
        "deterministic_algorithms": "warn" if mode == "warn" else "on",
        "fill_uninitialized_memory": True,
        "cudnn.benchmark": False,
        "cudnn.deterministic": True,
        "mkldnn.deterministic": True,
        **({CUBLAS_VARIABLE: ":4096:8"} if _needs_cublas_workspace() else {}),
    }


def _needs_cublas_workspace() -> bool:
    """Before torch 2.10 cuBLAS is deterministic only with a workspace of fixed size."""
    version = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
    if torch.version.cuda is None or CUBLAS_VARIABLE in os.environ or version >= (2, 10):
        return False
    cuda: Any = torch.cuda
    if cuda.is_initialized():  # in time if there was no matrix product yet
        warnings.warn(
            f"{CUBLAS_VARIABLE} may be set too late: CUDA is initialized, and cuBLAS reads it at its first "
            f"use. Set {CUBLAS_VARIABLE}=:4096:8 in the environment before pytest starts.",
            SwitchTooLate,
            stacklevel=2,
        )
    return True


_AXIS_SWITCHES = {"dtype": "default_dtype", "device": "default_device", "threads": "threads"}
_active_blocks: dict[int, tuple[dict[Switch, Any], dict[str, Any]]] = {}  # values before, values set


@contextmanager
def deterministic(mode: Deterministic) -> Iterator[None]:
    """Sets the switches to *mode* for the block. Restores all of them, also those that the block sets.

    With ``"warn"`` an op without a deterministic algorithm warns, with False it may run.
    """
    saved_values = {switch: switch.get() for switch in list_switches()}
    with ExitStack() as stack:
        stack.callback(_restore_all, saved_values)
        targets = _get_target_values(mode)
        _active_blocks[id(saved_values)] = saved_values, targets  # blocks may end in another order
        stack.callback(_active_blocks.pop, id(saved_values))
        for switch in list_switches():
            if switch.name in targets:
                switch.set(targets[switch.name])
        yield


def _restore_all(saved_values: Mapping[Switch, Any]) -> None:
    changed = [switch for switch, value in saved_values.items() if switch.get() != value]
    with ExitStack() as stack:  # restores the other switches if one raises
        for switch in reversed(changed):
            stack.callback(_restore, switch, saved_values)


def _restore(switch: Switch, saved_values: Mapping[Switch, Any]) -> None:
    if switch.get() != saved_values[switch]:
        switch.set(saved_values[switch])
        if switch.name in LEGACY_SWITCHES:  # its setter changed newer switches as well
            for other in saved_values:
                if other.name.endswith("fp32_precision"):
                    _restore(other, saved_values)


@contextmanager
def leave_switches(varied: Collection[str]) -> Iterator[None]:
    """Leaves the first block of :func:`deterministic`, and what the axes *varied* have set, for a block.

    What this block sets switches to outlives both. What the test itself has set holds in it.
    """
    outside, targets = next(iter(_active_blocks.values()), ({}, {}))
    inside = {switch: switch.get() for switch in outside}
    by_axes = [_AXIS_SWITCHES.get(axis) for axis in varied]
    left = {
        switch: value
        for switch, value in inside.items()
        if value != outside[switch] and (switch.name in by_axes or targets.get(switch.name) == value)
    }
    for switch in left:
        switch.set(outside[switch])
    before = inside | {switch: outside[switch] for switch in left}
    try:
        yield
    finally:
        changes = {switch: value for switch in before if (value := switch.get()) != before[switch]}
        for switch in left.keys() - changes.keys():
            switch.set(left[switch])
        for saved_values, _ in _active_blocks.values():
            saved_values.update(changes)
