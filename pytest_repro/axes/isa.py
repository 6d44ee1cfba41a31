"""Instruction sets: other people's processors, on this one."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from pytest_repro.axes import Axis, Interpreter, generators, listed
from pytest_repro.core.plan.plan import BadArgument

NATIVE = "native"


class Level(NamedTuple):
    """One instruction set, as each library is told of it.

    Attributes:
        aten: ``ATEN_CPU_CAPABILITY``, torch's own kernels.
        onednn: ``ONEDNN_MAX_CPU_ISA``.
        mkl: ``MKL_CBWR``.
        openblas: ``OPENBLAS_CORETYPE``, numpy's BLAS.
        above: Beginnings of the names of numpy's features that are beyond it.
        needs: The feature, in numpy's words, that the processor must have.
    """

    aten: str
    onednn: str
    mkl: str
    openblas: str
    above: tuple[str, ...]
    needs: str = ""


_AVX2 = ("AVX2", "FMA3", "X86_V3")
_AVX512 = ("AVX512", "X86_V4")

# https://oneapi-src.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html,
# https://numpy.org/doc/stable/reference/simd/build-options.html, and the MKL developer guide on
# conditional numerical reproducibility.
LEVELS: dict[str, Level] = {
    "default": Level("default", "SSE41", "COMPATIBLE", "Nehalem", ("AVX", "F16C", *_AVX2, *_AVX512)),
    "avx2": Level("avx2", "AVX2", "AVX2", "Haswell", _AVX512, "AVX2"),
    "avx512": Level("avx512", "AVX512_CORE", "AVX512", "SkylakeX", ("AVX512_SPR",), "AVX512_SKX"),
}


class Isa(Axis):
    """``isa=("default", "avx2")``: levels of :data:`LEVELS`, each compared with this process."""

    elsewhere = True
    close = True
    look_for: ClassVar = (
        "matrix products, convolutions, exp and tanh, and torch.randn itself: vectors of another",
        "width round in another order. Where inputs differ already, draw them with repro.rng()",
    )

    def values(self, given: object) -> tuple[object, ...]:
        values = ("default", "avx2") if given is True else listed(given)
        if not values or any(not isinstance(each, str) or each not in LEVELS for each in values):
            raise BadArgument(self.name, given, f"instruction sets: {', '.join(LEVELS)}")
        return NATIVE, *dict.fromkeys(values)

    def missing(self, value: object) -> str:
        level = LEVELS[str(value)]
        if platform.machine().lower() not in ("x86_64", "amd64", "i386", "i686"):
            return f"{value} is a level of x86, this is {platform.machine()}"
        return "" if not level.needs or _features().get(level.needs) else f"the processor has no {value}"

    def drawn(self) -> object:
        return generators()  # torch's; numpy draws alike

    def interpreter(self, value: object) -> Interpreter:
        level = LEVELS[str(value)]
        environ = {
            "ATEN_CPU_CAPABILITY": level.aten,
            "ONEDNN_MAX_CPU_ISA": level.onednn,
            "MKL_CBWR": level.mkl,
            "OPENBLAS_CORETYPE": level.openblas,
            "NPY_DISABLE_CPU_FEATURES": " ".join(_dispatched(level.above)),
        }
        return Interpreter(environ=environ, called=self.called(value))

    def between(self, reference: object, value: object) -> str:
        return f"this machine's own instruction set and {value}"


def _multiarray() -> Any:
    import numpy  # noqa: F401  # its features are read from what it was built of

    name = "numpy._core" if "numpy._core" in sys.modules else "numpy.core"
    return sys.modules[f"{name}._multiarray_umath"]


def _features() -> Mapping[str, bool]:
    """What this processor has, in numpy's words."""
    found: Mapping[str, bool] = getattr(_multiarray(), "__cpu_features__", {})
    return found


def _dispatched(above: tuple[str, ...]) -> list[str]:
    """numpy's features on this machine that are beyond a level: it warns of any other name."""
    names = getattr(_multiarray(), "__cpu_dispatch__", [])
    return [name for name in names if name.startswith(above) and _features().get(name)]


axis = Isa()
