"""The state of the generator that an op draws from."""

from __future__ import annotations

from typing import Any

import torch

from pytest_repro.traces.digests import Digester, hide_from_modes


def digest_generator_state(generator: Any, digester: Digester) -> int:
    """Digest of the state of *generator*; 0 where it cannot be read, as while CUDA captures a graph."""
    try:
        with hide_from_modes():
            found = digester.digest_tensor(generator.get_state())[1]
            return found if isinstance(found, int) else 0
    except Exception:
        return 0


def find_default_generator(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The default generator of the device that an op with these arguments runs on."""
    device = kwargs.get("device") or next((a.device for a in args if isinstance(a, torch.Tensor)), None)
    if device is None or torch.device(device).type == "cpu":
        return torch.default_generator
    device = torch.device(device)
    module = getattr(torch, device.type, None)
    if device.type == "mps":
        return torch.mps._get_default_mps_generator()
    generators = getattr(module, "default_generators", ())
    index = device.index if device.index is not None or module is None else module.current_device()
    return generators[index] if index is not None and index < len(generators) else None
