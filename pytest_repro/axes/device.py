"""The default device: where torch makes tensors unless told otherwise."""

from __future__ import annotations

import re
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from pytest_repro.axes import Axis, as_tuple
from pytest_repro.axes._shared import read_torch_generators, require_distinct, set_for_block
from pytest_repro.core.plan.arguments import BadArgument

_NAME = re.compile(r"[a-z]\w*(:\d+)?")


class Device(Axis):
    """``device=("cpu", "cuda")``: names as ``torch.device`` takes them, the reference first."""

    close_by_default = True
    comparable_ops = False
    preposition = "on"
    hints = (
        "inputs drawn on the device: generators of two devices draw other numbers by design. Draw on",
        "the CPU and move: torch.randn(3, generator=repro.generator(), device='cpu').to(repro.device);",
        "TF32 in products and convolutions, and sums that are added up in another order",
    )
    cause_reason = "their kernels add in another order and take other code paths"
    cause_fix = (
        "compare within a tolerance (leave rtol and atol out), draw inputs on the CPU and move them "
        "(repro.generator()), and turn TF32 off: torch.backends.cuda.matmul.allow_tf32 = False"
    )

    def resolve_values(self, argument: object) -> tuple[object, ...]:
        if argument is True:
            return "cpu", _choose_accelerator()
        values = as_tuple(argument)
        allowed = "names of devices: device=('cpu', 'cuda')"
        for each in values:
            if not isinstance(each, str) or not _NAME.fullmatch(each):
                raise BadArgument(self.name, argument, allowed)
            if "torch" in sys.modules and (why := _why_unknown(each)):
                raise BadArgument(self.name, argument, f"{allowed}; {why}")
        return require_distinct(self.name, values)

    def why_unavailable(self, value: object) -> str:
        if (torch := sys.modules.get("torch")) is None:
            return "torch is not imported"
        if why := _why_unknown(str(value)):
            return why
        device = torch.device(str(value))
        return "" if device.type == "cpu" else _why_unusable(device)

    def why_reference_unavailable(self, value: object) -> str:
        # Without torch it is not known yet: the test may be the first to import it.
        return self.why_unavailable(value) if "torch" in sys.modules else ""

    def why_not_in_effect(self, value: object) -> str:
        return "" if value == "cpu" and "torch" not in sys.modules else self.why_unavailable(value)

    def why_too_few(self, value: object, ranks: int) -> str:
        torch = sys.modules.get("torch")
        if not ranks or value != "cuda" or torch is None or torch.cuda.device_count() >= ranks:
            return ""
        return f"{_count_devices('cuda', torch.cuda.device_count())} for {ranks} ranks"

    def why_not_in_ranks(self, values: tuple[object, ...], ranks: int) -> str:
        if {"cpu", "cuda"}.issuperset(values):
            return ""
        return "with ranks only 'cpu' and 'cuda': each rank uses the GPU of its own number"

    def get_generator_states(self) -> object:
        return read_torch_generators(include_cpu=False)

    def applied(self, value: object) -> AbstractContextManager[None]:
        if (torch := sys.modules.get("torch")) is None:
            return nullcontext()
        from pytest_repro.adapters._torch.switches import get_default_device

        device, before = torch.device(str(value)), get_default_device()
        if device == (before or torch.get_default_device()):
            return nullcontext()  # setting it routes every torch call through Python
        return set_for_block(torch.set_default_device, device, before)

    def format_value(self, value: object) -> str:
        return str(value)


def _count_devices(kind: str, count: int) -> str:
    return f"this machine has {count} {kind} device{'s' * (count != 1)}"


def _why_unknown(name: str) -> str:
    """The error of torch for *name*; ``""`` if it knows that device."""
    import torch

    try:
        torch.device(name)
    except RuntimeError as error:
        return str(error).splitlines()[0]
    return ""


def _why_unusable(device: Any) -> str:
    """Why no tensor can be made on *device*; ``""`` if one can."""
    import torch

    module = getattr(torch, device.type, None)
    if not getattr(module, "is_available", lambda: True)():
        return f"torch finds no {device.type} device on this machine"
    count = getattr(module, "device_count", lambda: None)()
    if count is not None and (device.index or 0) >= count:
        return _count_devices(device.type, count)
    try:
        torch.empty(0, device=device)
    except Exception as error:  # a backend that is registered but does not work
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"
    return ""


def _choose_accelerator() -> str:
    accelerator = getattr(sys.modules.get("torch"), "accelerator", None)  # since torch 2.6
    if accelerator is not None and accelerator.is_available():
        return str(accelerator.current_accelerator().type)
    return "cuda"


axis = Device()
