"""Generators seeded by the operating system, and its random bytes."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

from pytest_repro.adapters import patch_entropy
from pytest_repro.causes import Cause, WatchedFunction, watch_each
from pytest_repro.causes._serial.pool_tasks import seeded_tasks
from pytest_repro.core.diagnose import ExternalCall
from pytest_repro.interpose.workers import is_worker, numbered_workers

_DRAWS_EFFECT = "draws from the operating system"
_RANDOM_FIX = "pass a seed: random.Random(0)"
_SEED_FIX = "pass a seed, or use repro.rng()"
_UUID_FIX = "use uuid.UUID(int=rng.getrandbits(128), version=4) with a seeded random.Random rng"
_BYTES_FIX = "use repro.rng().bytes(n), or random.Random(seed).randbytes(n)"
_REPEATED = "with a seed at this line, each of its {count} calls would give the same numbers"
_REPEATED_SEED_FIX = f"create one generator with a seed, or repro.rng(), and pass it in: {_REPEATED}"
_REPEATED_RANDOM_FIX = f"create one random.Random(0) and pass it in: {_REPEATED}"
_REPEATED_BYTES_FIX = (
    "create one generator, rng = repro.rng(), pass it in and call rng.bytes(n): a new one in each of the "
    "{count} calls would give the same bytes"
)
# RandomState(3) makes an unseeded MT19937 before it seeds that.
_UNSEEDED = frozenset({
    "default_rng", "RandomState()", "SeedSequence", "Generator",
    "MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64",
})  # fmt: skip


def _is_random_device(file: Any, *_: Any, **__: Any) -> bool:
    return isinstance(file, (str, os.PathLike)) and os.fspath(file) in ("/dev/random", "/dev/urandom")


def _watch_open(function: str) -> WatchedFunction:
    effect = "reads random bytes from the operating system, which cannot be suspended"
    options: Any = {"when": _is_random_device, "reach": "all", "suspendable": False}
    options["repeated_fix"] = _REPEATED_BYTES_FIX
    return WatchedFunction(function, effect, _BYTES_FIX, "open()", **options)


def _watch_bytes(name: str, **options: Any) -> WatchedFunction:
    options["repeated_fix"] = _REPEATED_BYTES_FIX
    return WatchedFunction(f"os:{name}", _DRAWS_EFFECT, _BYTES_FIX, **options)


def _omits_seed(seed: Any = None, *_: Any, **__: Any) -> bool:
    return seed is None


def _omits_seed_of_space(space: Any, seed: Any = None) -> bool:
    return seed is None


def _is_unseeded(self: Any, x: Any = None, *_: Any) -> bool:
    return x is None and not isinstance(self, random.SystemRandom)


def _watch_torch_seed(function: str, seeded: str, replacement: str) -> WatchedFunction:
    effect = f"seeds {seeded} from the operating system"
    call = f"call torch.{replacement}(0)"
    once = f"{call} once, before: {_REPEATED}"
    return WatchedFunction(f"torch{function}", effect, f"{call} instead", repeated_fix=once)


def _watch_seed(
    function: str, fix: str, repeated_fix: str = _REPEATED_SEED_FIX, **options: Any
) -> WatchedFunction:
    effect = "draws its seed from the operating system"
    return WatchedFunction(function, effect, fix, repeated_fix=repeated_fix, **options)


def _watch_environment(function: str, fix: str, **options: Any) -> WatchedFunction:
    return _watch_seed(function, fix, fix, reach="all", **options)


def _watch_global_seed(function: str, call: str) -> WatchedFunction:
    once = f"call {call} once, before: {_REPEATED}"
    return _watch_seed(function, f"pass a number: {call}", once, when=_omits_seed)


GLOBAL_GENERATOR = "the global generator of {}"
"""How reports name a draw that no call shows: ``.format("numpy")``."""
_GENERATOR_OWNERS = frozenset({"random", "numpy", "torch"})
IMPORT_NOTE = "drawn when the module was imported, before anything was seeded"
IMPORT_FIX = "make it in a fixture, or from a generator with a seed"


def _watch_secret(name: str) -> WatchedFunction:
    fix = f"if it is no secret, use random.Random(seed); otherwise have the test replace secrets.{name}"
    return WatchedFunction(f"secrets:{name}", f"{_DRAWS_EFFECT}, and cannot be seeded", fix)


def _watch_tempfile(name: str) -> WatchedFunction:
    fix = "use pytest's tmp_path, and do not record the folder's name"
    effect = "names its file by a generator that the operating system seeds"
    return WatchedFunction(f"tempfile:{name}", effect, fix, f"tempfile.{name.partition('.')[0]}()")


class OsEntropy(Cause):
    """``default_rng()``, ``Random()``, ``secrets``, ``uuid4``, ``os.urandom``, ``torch.seed()`` and the like.

    In a forked process also ``os.getpid()``, which many programs seed from.

    Not suspended: a ``torch.Generator`` made before the block that reseeds itself, entropy for
    compiled code (``std::random_device``, OpenSSL), ``/dev/urandom``.
    """

    explanation = "a generator draws its seed from the operating system"
    fix = "pass a seed, or use repro.rng() or repro.generator()"
    watched_functions = (
        _watch_seed("numpy.random:default_rng", _SEED_FIX, when=_omits_seed),
        _watch_environment(
            "gymnasium.spaces.space:Space.seed",
            "before it samples, call seed(0) of the space: env.action_space.seed(0)",
            label="gymnasium.Space.seed()",
            when=_omits_seed_of_space,
        ),
        _watch_environment(
            "gymnasium.utils.seeding:np_random",
            "pass a seed to the first reset: env.reset(seed=0)",
            when=_omits_seed,
        ),
        _watch_environment(
            "tensorflow.python.ops.stateful_random_ops:non_deterministic_ints",
            "make the generator from a seed: tf.random.Generator.from_seed(0)",
            label="tf.random.Generator.from_non_deterministic_state()",
        ),
        _watch_global_seed("numpy.random:seed", "np.random.seed(0)"),
        _watch_seed(
            "numpy.random.bit_generator:randbits",
            _SEED_FIX,
            label="numpy.random.{}()",
            reach="all",
            names=_UNSEEDED,
        ),
        _watch_seed(
            "random:Random.__init__",
            _RANDOM_FIX,
            _REPEATED_RANDOM_FIX,
            label="random.Random()",
            reach="all",
            when=_is_unseeded,
        ),
        _watch_global_seed("random:seed", "random.seed(0)"),
        *watch_each(
            "random",
            "SystemRandom.random SystemRandom.getrandbits SystemRandom.randbytes",
            f"{_DRAWS_EFFECT}, and cannot be seeded",
            "use random.Random(seed), or do not record values that depend on it",
            label="random.SystemRandom",
            reach="all",
        ),
        *map(_watch_secret, ["choice", "randbelow", "randbits", "token_bytes", "token_hex", "token_urlsafe"]),
        WatchedFunction("uuid:uuid4", _DRAWS_EFFECT, f"{_UUID_FIX}, or uuid.uuid5() of a name"),
        WatchedFunction(
            "os:getpid",
            "returns another number in each new process",
            "seed from a number that stays the same: torch.initial_seed(), the worker's id",
            when=is_worker,
            reach="line",
        ),
        _watch_bytes("urandom", reach="all"),
        _watch_bytes("getrandom"),
        *map(_watch_tempfile, ["mkdtemp", "mkstemp", "mktemp", "NamedTemporaryFile"]),
        _watch_tempfile("TemporaryDirectory.__init__"),
        *map(_watch_open, ["builtins:open", "io:open"]),
        _watch_torch_seed(":seed", "torch", "manual_seed"),
        _watch_torch_seed(".random:seed", "torch", "manual_seed"),
        _watch_torch_seed(".cuda:seed", "CUDA", "cuda.manual_seed"),
        _watch_torch_seed(".cuda:seed_all", "CUDA", "cuda.manual_seed_all"),
        WatchedFunction("", "has a random state", IMPORT_FIX, GLOBAL_GENERATOR, names=_GENERATOR_OWNERS),
        WatchedFunction(
            "torch:Generator.seed",
            "seeds itself from the operating system",
            "call manual_seed(0) on it, or use repro.generator()",
            repeated_fix=f"call manual_seed(0) on it once, before: {_REPEATED}",
        ),
    )

    @contextmanager
    def suspend(self, seed: int, variant: str = "") -> Iterator[None]:
        """The variant is the library whose generators alone are suspended."""
        sources: list[random.Random] = []

        def make_source() -> random.Random:
            sources.append(random.Random(seed))
            return sources[-1]

        with ExitStack() as stack:
            if variant in ("", "python"):
                stack.enter_context(numbered_workers())
            stack.enter_context(patch_entropy(make_source, variant))
            stack.enter_context(seeded_tasks(seed, sources))
            yield

    def covers(self, row: WatchedFunction, variant: str) -> bool:
        return variant in ("", _find_library(row.function))

    def choose_variant(self, call: ExternalCall) -> str:
        return next(
            (_find_library(row.function) for row in self.watched_functions if row.matches(call.display_name)),
            "",
        )


@cache
def _find_library(function: str) -> str:
    """The library whose adapter suspends *function*; ``""`` if that takes several."""
    package = function.partition(":")[0].partition(".")[0]
    return package if package in ("numpy", "torch") else "python" * (package in sys.stdlib_module_names)


cause = OsEntropy()
