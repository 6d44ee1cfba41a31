"""Generators that the operating system seeds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar

from pytest_repro.adapters import pinned_entropy
from pytest_repro.causes import Cause, Row

_SEEDED_BY = "draws its seed from the operating system"
_DRAWS = "draws from the operating system"
_SEEDS = "seeds {} from the operating system"
_BYTES = "take repro.rng().bytes(n), or random.Random(seed).randbytes(n)"
# RandomState(3) makes an unseeded MT19937 before it seeds that.
_UNSEEDED = frozenset({
    "default_rng", "RandomState()", "SeedSequence", "Generator",
    "MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64",
})  # fmt: skip


def _noise(file: Any, *_: Any, **__: Any) -> bool:
    return isinstance(file, (str, os.PathLike)) and os.fspath(file) in ("/dev/random", "/dev/urandom")


def _device(where: str) -> Row:
    return Row(where, "reads what the operating system draws, which is not held here", _BYTES, "open()",
               when=_noise, reach="all", held=False)  # fmt: skip


def _without_seed(seed: Any = None, *_: Any, **__: Any) -> bool:
    return seed is None


def _unseeded_instance(self: Any, x: Any = None, *_: Any) -> bool:
    import random

    return x is None and not isinstance(self, random.SystemRandom)


def _system(name: str) -> Row:
    says = "draws from the operating system, and cannot be seeded"
    fix = "take random.Random(seed), or record nothing that hangs on it"
    return Row(f"random:SystemRandom.{name}", says, fix, "random.SystemRandom", reach="all")


def _secret(name: str) -> Row:
    fix = f"where it is no secret, take random.Random(seed); else have the test replace secrets.{name}"
    return Row(f"secrets:{name}", f"{_DRAWS}, and cannot be seeded", fix)


def _temporary(name: str) -> Row:
    fix = "take pytest's tmp_path, and leave the folder's name out of what is recorded"
    says = "names its file by a generator that the system seeds"
    return Row(f"tempfile:{name}", says, fix, f"tempfile.{name.partition('.')[0]}()")


class OsEntropy(Cause):
    """``default_rng()``, ``Random()``, ``secrets``, ``uuid4``, ``os.urandom``, ``torch.seed()`` and the like.

    Out of reach: a ``torch.Generator`` that was there before the block and reseeds itself, entropy
    that a library's compiled code takes (``std::random_device``, OpenSSL), ``/dev/urandom``.
    """

    says = "a generator draws its seed from the operating system"
    fix = "pass a seed, or take repro.rng() or repro.generator()"
    rows: ClassVar[Sequence[Row]] = (
        Row("numpy.random:default_rng", _SEEDED_BY, "pass a seed, or take repro.rng()", when=_without_seed),
        Row("numpy.random:seed", _SEEDED_BY, "pass a number: np.random.seed(0)", when=_without_seed),
        Row("numpy.random.bit_generator:randbits", _SEEDED_BY, "pass a seed, or take repro.rng()",
            "numpy.random.{}()", reach="all", names=_UNSEEDED),
        Row("random:Random.__init__", _SEEDED_BY, "pass a seed: random.Random(0)", "random.Random()",
            when=_unseeded_instance, reach="all"),
        Row("random:seed", _SEEDED_BY, "pass a number: random.seed(0)", when=_without_seed),
        *(_system(name) for name in ("random", "getrandbits", "randbytes")),
        *(_secret(name) for name in (
            "choice", "randbelow", "randbits", "token_bytes", "token_hex", "token_urlsafe")),
        Row("uuid:uuid4", _DRAWS, "take uuid.UUID(int=rng.getrandbits(128), version=4) with a seeded "
            "random.Random rng, or uuid.uuid5() of a name"),
        Row("os:urandom", _DRAWS, _BYTES, reach="all"),
        Row("os:getrandom", _DRAWS, _BYTES),
        *(_temporary(name) for name in (
            "mkdtemp", "mkstemp", "mktemp", "NamedTemporaryFile", "TemporaryDirectory.__init__")),
        _device("builtins:open"),
        _device("io:open"),
        Row("torch:seed", _SEEDS.format("torch"), "call torch.manual_seed(0) instead"),
        Row("torch.random:seed", _SEEDS.format("torch"), "call torch.manual_seed(0) instead"),
        Row("torch.cuda:seed", _SEEDS.format("CUDA"), "call torch.cuda.manual_seed(0) instead"),
        Row("torch.cuda:seed_all", _SEEDS.format("CUDA"), "call torch.cuda.manual_seed_all(0) instead"),
        Row("torch:Generator.seed", _SEEDS.format("itself"),
            "call manual_seed(0) on it, or take repro.generator()"),
    )  # fmt: skip

    def suspended(self, seed: int) -> AbstractContextManager[None]:
        return pinned_entropy(seed)


cause = OsEntropy()
