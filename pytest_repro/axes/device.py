"""Devices: where torch makes its tensors when it is not told."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from pytest_repro.axes import Axis, as_tuple, get_torch_generator_states, require_distinct
from pytest_repro.core.plan.plan import BadArgument

_NAME = re.compile(r"[a-z]\w*(:\d+)?")


class Device(Axis):
    """``device=("cpu", "cuda")``: names as ``torch.device`` takes them, the reference's first."""

    close_by_default = True
    preposition = "on"
    hints: ClassVar = (
        "inputs drawn on the device: generators of two devices draw other numbers by design. Draw on",
        "the CPU and move: torch.randn(3, generator=repro.generator(), device='cpu').to(repro.device);",
        "TF32 in products and convolutions, and sums that are added up in another order",
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
        if "torch" not in sys.modules:
            return "torch is not imported"
        import torch

        name = str(value)
        if why := _why_unknown(name):
            return why
        device = torch.device(name)
        return "" if device.type == "cpu" else _why_unusable(device)

    def why_reference_unavailable(self, value: object) -> str:
        # A test that is the first to import torch finds out by itself.
        return self.why_unavailable(value) if "torch" in sys.modules else ""

    def why_too_few(self, value: object, ranks: int) -> str:
        if ranks and value == "cuda" and "torch" in sys.modules:
            import torch

            found = torch.cuda.device_count()
            if found < ranks:
                return f"this machine has {found} cuda device{'s' * (found != 1)} for {ranks} ranks"
        return ""

    def get_generator_states(self) -> object:
        return get_torch_generator_states(include_cpu=False)

    @contextmanager
    def applied(self, value: object) -> Iterator[None]:
        if "torch" not in sys.modules:
            yield
            return
        import torch

        from pytest_repro.adapters._torch.determinism import get_default_device

        device, before = torch.device(str(value)), get_default_device()
        if device == (before or torch.get_default_device()):  # setting it leads all of torch through Python
            yield
            return
        torch.set_default_device(device)
        try:
            yield
        finally:
            torch.set_default_device(before)

    def format_value(self, value: object) -> str:
        return str(value)


def _why_unknown(name: str) -> str:
    """Why torch does not know *name*, in its own words."""
    import torch

    try:
        torch.device(name)
    except RuntimeError as error:
        return str(error).splitlines()[0]
    return ""


def _why_unusable(device: Any) -> str:
    """Why nothing can be made on *device*."""
    import torch

    module = getattr(torch, device.type, None)
    if not getattr(module, "is_available", lambda: True)():
        return f"torch finds no {device.type} device on this machine"
    count = getattr(module, "device_count", lambda: None)()
    if count is not None and (device.index or 0) >= count:
        return f"this machine has {count} {device.type} device{'s' * (count != 1)}"
    try:
        torch.empty(0, device=device)
    except Exception as error:  # a backend that is registered and does not work
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"
    return ""


def _choose_accelerator() -> str:
    if "torch" in sys.modules:
        import torch

        found = getattr(torch, "accelerator", None)  # from torch 2.6 on
        if found is not None and found.is_available():
            return str(found.current_accelerator().type)
    return "cuda"


axis = Device()
