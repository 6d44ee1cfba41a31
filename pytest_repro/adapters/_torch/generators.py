"""The global generators of every torch device.

``torch.manual_seed`` takes 90 to 370 µs, since it formats the call stack for a CUDA that may
start later; seeding the default generators takes 1 µs. So they are seeded one by one, and the
lazy way is taken only where an accelerator is there and has not started yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from pytest_repro.adapters import EntropySource
from pytest_repro.interpose.patch import Patch
from pytest_repro.interpose.proxy_class import make_proxy_class

_LAZY_DEVICES = ("cuda", "xpu")


def _list_accelerator_generators() -> list[Any]:
    """The default generators of the accelerators that have started."""
    found: list[Any] = []
    for name in _LAZY_DEVICES:
        device = getattr(torch, name, None)
        if device is not None and device.is_initialized():
            found += device.default_generators
    if torch.backends.mps.is_available():
        found.append(torch.mps._get_default_mps_generator())
    return found


def get_default_generators() -> dict[str, Any]:
    """The default generators of the CPU and of the accelerators that have started: ``torch cuda:0``."""
    return {
        f"torch {each.device}": each for each in (torch.default_generator, *_list_accelerator_generators())
    }


def _find_custom_backend() -> Any:
    """The module of a backend registered from outside torch, if it seeds at all."""
    module = getattr(torch, torch._C._get_privateuse1_backend_name(), None)
    return module if hasattr(module, "manual_seed_all") else None


def _list_uninitialized_devices() -> list[Any]:
    """The accelerators that this build could start, but has not."""
    built = {"cuda": torch.version.cuda or torch.version.hip, "xpu": getattr(torch.version, "xpu", None)}
    devices = [getattr(torch, name) for name in _LAZY_DEVICES if built[name]]
    return [d for d in devices if not d.is_initialized() and d.is_available()]


def seed_generators(seed: int) -> None:
    """Seeds the generator of the CPU and those of every accelerator.

    Args:
        seed: 0 … 2**32 - 1.
    """
    torch.default_generator.manual_seed(seed)
    for generator in _list_accelerator_generators():
        generator.manual_seed(seed)
    for device in _list_uninitialized_devices():
        device.manual_seed_all(seed)  # kept by torch until the device starts
    other = _find_custom_backend()
    if other is not None:
        other.manual_seed_all(seed)


def read_states(include_cpu: bool = True) -> list[bytes]:
    """Where the generators stand: the same until one of them is asked.

    Args:
        include_cpu: Whether the CPU's counts, beside those of the accelerators that have started.
    """
    states = [
        each.get_state()
        for each in ([torch.default_generator] if include_cpu else []) + _list_accelerator_generators()
    ]
    other = _find_custom_backend()
    if hasattr(other, "get_rng_state_all"):
        states += other.get_rng_state_all()
    return [state.numpy().tobytes() for state in states]


def save_states() -> Callable[[], None]:
    """Takes the state of every generator; the function given back restores it."""
    states = [(g, g.get_state()) for g in (torch.default_generator, *_list_accelerator_generators())]
    pending = [
        (tracker, dict(vars(tracker)))
        for tracker in (
            getattr(device, "_lazy_seed_tracker", None) for device in _list_uninitialized_devices()
        )
        if tracker is not None
    ]
    other = _find_custom_backend()
    others = other.get_rng_state_all() if hasattr(other, "get_rng_state_all") else None

    def restore() -> None:
        for generator, state in states:
            generator.set_state(state)
        for tracker, before in pending:
            vars(tracker).update(before)
        if others is not None:
            other.set_rng_state_all(others)

    return restore


def make_entropy_patches(source: EntropySource) -> Iterator[Patch]:
    """What seeds a generator from the operating system, seeding it from *source* instead."""

    def seed(generator: Any = torch) -> int:
        number = source.getrandbits(63)
        generator.manual_seed(number)
        return number

    yield Patch(torch, "seed", seed)
    yield Patch(torch.random, "seed", seed)
    yield Patch(torch.cuda, "seed", lambda: torch.cuda.manual_seed(source.getrandbits(63)))
    yield Patch(torch.cuda, "seed_all", lambda: torch.cuda.manual_seed_all(source.getrandbits(63)))
    yield Patch(torch, "Generator", make_proxy_class(torch.Generator, {"seed": seed}, owns_instances=True))
