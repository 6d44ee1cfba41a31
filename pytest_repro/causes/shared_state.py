"""What one run leaves behind for the next: seeds, flags, the state of global generators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pytest_repro.causes import Cause, Row

_SEEDS = (
    "torch:manual_seed",
    "torch.random:manual_seed",
    "torch.cuda:manual_seed",
    "torch.cuda:manual_seed_all",
)
_STATES = ("random:setstate", "numpy.random:set_state", "torch:set_rng_state", "torch.random:set_rng_state")
_FLAGS = (
    "torch:set_default_dtype", "torch:set_default_device", "torch:set_default_tensor_type",
    "torch:use_deterministic_algorithms", "torch:set_deterministic_debug_mode",
    "torch:set_float32_matmul_precision", "torch:set_flush_denormal", "torch:set_num_threads",
    "torch:set_num_interop_threads", "numpy:seterr", "locale:setlocale", "decimal:setcontext",
    "os:chdir", "os:putenv",
)  # fmt: skip


def _with_seed(seed: Any = None, *_: Any, **__: Any) -> bool:
    return seed is not None


def _reseeding(where: str, when: Any = None) -> Row:
    fix = (
        "leave seeding to pytest-repro, or draw from a generator of your own: repro.rng(), repro.generator()"
    )
    return Row(where, "seeds a generator that everybody draws from, in the midst of the test", fix, when=when)


def _flag(where: str) -> Row:
    return Row(where, "sets what holds for every test that follows", "set it back when the test ends")


class SharedState(Cause):
    """Reseeding inside the test, and flags that outlive it. Runs in fresh processes tell.

    Out of reach: what is changed without a call of these: module globals, caches, attributes of
    ``torch.backends``.
    """

    elsewhere = True
    says = "something that one run leaves behind is found by the next"
    fix = "make it anew in each test, or put it back when the test ends"
    rows: ClassVar[Sequence[Row]] = (
        *(_reseeding(where) for where in _SEEDS),
        _reseeding("numpy.random:seed", _with_seed),
        _reseeding("random:seed", _with_seed),
        *(_reseeding(where) for where in _STATES),
        *(_flag(where) for where in _FLAGS),
    )


cause = SharedState()
