"""A second device on any machine: torch's ``PrivateUse1`` as ``second``, with its kernels in Python.

It computes on the CPU and keeps its values apart from the CPU's. As real devices do, it rounds
otherwise (``exp`` by one part in 2**23, ``tanh`` wrongly, by 0.01), draws other numbers from the
same seed, and refuses generators of the CPU. A backend cannot be unregistered: only processes of
their own import this.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch.utils._pytree import tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "second"
_torch: Any = torch
_held: dict[int, torch.Tensor] = {}
# Values by storage: autograd makes tensors of its own, that share it and nothing else.


class Module:
    """What is found as ``torch.second``."""

    def __init__(self) -> None:
        self.generator = torch.Generator("cpu")

    def is_available(self) -> bool:
        return True

    def is_initialized(self) -> bool:
        return True

    def _is_in_bad_fork(self) -> bool:
        return False

    def device_count(self) -> int:
        return 1

    def current_device(self) -> int:
        return 0

    def manual_seed_all(self, seed: int) -> None:
        self.generator.manual_seed(seed + 1)

    def get_rng_state_all(self) -> list[torch.Tensor]:
        return [self.generator.get_state()]

    def set_rng_state_all(self, states: list[torch.Tensor]) -> None:
        self.generator.set_state(states[0])


MODULE = Module()


class Tensor(torch.Tensor):
    """What a kernel gives: a parameter can be made of it, unlike of a plain tensor made in Python."""

    __torch_function__ = _torch._C._disabled_torch_function_impl


def _here(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor of the device that holds *tensor* of the CPU."""
    made: torch.Tensor = _torch._C._acc.create_empty_tensor(tuple(tensor.shape), tensor.dtype)
    made.__class__ = Tensor
    _held[made.untyped_storage()._cdata] = tensor
    return made


def _there(value: Any) -> Any:
    """The CPU's tensor behind *value*; what is no tensor of the device as it is."""
    ours = isinstance(value, torch.Tensor) and value.device.type == NAME
    return _held[value.untyped_storage()._cdata] if ours else value


def _by_cpu(op: Any, *args: Any, **kwargs: Any) -> Any:
    """*op* by the CPU; a tensor it was given, and gives back, stays the same object."""
    given: dict[int, torch.Tensor] = {}

    def down(value: Any) -> Any:
        found = _there(value)
        if found is not value:
            given[id(found)] = value
        return found

    def up(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        ours = given[id(value)] if id(value) in given else _here(value)
        if ours.shape != value.shape:  # out=, which the op has resized
            ours.data = _here(value)
        return ours

    args, kwargs = tree_map(down, (args, kwargs))
    if "device" in kwargs:
        kwargs["device"] = torch.device("cpu")
    return tree_map(up, op(*args, **kwargs))


def _to_copy(tensor: Any, *, dtype: Any = None, device: Any = None, **_: Any) -> torch.Tensor:
    copied: torch.Tensor = torch.ops.aten._to_copy(_there(tensor), dtype=dtype)
    return copied if device is not None and device.type == "cpu" else _here(copied)


def _copy(to: Any, tensor: Any, non_blocking: bool = False) -> Any:
    _there(to).copy_(_there(tensor))
    return to


def _draw(name: str, tensor: Any, *args: Any, generator: Any = None) -> Any:
    if generator is not None:
        raise RuntimeError(f"Expected a {NAME!r} device type for generator but found {generator.device}")
    getattr(_there(tensor), name)(*args, generator=MODULE.generator)
    return tensor


def _exp(tensor: Any) -> torch.Tensor:
    return _here(_there(tensor).exp() * (1 + 2**-23))


def _tanh(tensor: Any) -> torch.Tensor:
    return _here(_there(tensor).tanh() + 0.01)


def _views() -> Iterator[tuple[str, Any]]:
    """The ops that make a view by the tensor's own memory, of which there is none."""
    for full in _torch._C._dispatch_get_registrations_for_dispatch_key("CompositeExplicitAutograd"):
        space, _, name = full.partition("::")
        packet, _, overload = name.partition(".")
        if space != "aten" or not hasattr(torch.ops.aten, packet):
            continue
        op = getattr(getattr(torch.ops.aten, packet), overload or "default", None)
        returns = [each.alias_info for each in op._schema.returns] if op is not None else []
        if any(info is not None and not info.is_write for info in returns):
            yield name, op


def registered() -> list[Any]:
    """Registers the device; gives what must be kept for it to stay."""
    _setup_privateuseone_for_python_backend(NAME, MODULE)
    every, aten = _torch.library.Library("_", "IMPL"), _torch.library.Library("aten", "IMPL")
    every.fallback(_by_cpu, "PrivateUse1")
    kernels = {
        "_to_copy": _to_copy, "copy_": _copy, "exp": _exp, "tanh": _tanh,
        **{name: partial(_by_cpu, op) for name, op in _views()},
        **{name: partial(_draw, name) for name in ("normal_", "uniform_")},
    }  # fmt: skip
    for name, kernel in kernels.items():
        aten.impl(name, kernel, "PrivateUse1")
    return [every, aten]


KEPT = registered()
