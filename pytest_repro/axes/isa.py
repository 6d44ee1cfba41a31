"""Instruction sets: what older and newer processors compute, on this one."""

from __future__ import annotations

import platform
import sys
from typing import Any, NamedTuple

from pytest_repro.axes import Interpreter, as_tuple
from pytest_repro.axes._shared import InterpreterAxis, read_torch_generators
from pytest_repro.core.plan.arguments import BadArgument

NATIVE = "native"


class InstructionSet(NamedTuple):
    """One instruction set, as each library takes it."""

    variables: tuple[str, ...]  # values of the :data:`_VARIABLES`
    lacking: tuple[str, ...]  # prefixes of the numpy CPU features that it lacks
    required: str = ""  # the numpy CPU feature that the processor must have


_VARIABLES = (
    "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_CBWR", "OPENBLAS_CORETYPE", "NUMBA_CPU_NAME",
    "NUMBA_CPU_FEATURES",
)  # fmt: skip
"""Variables of torch's own kernels, oneDNN, MKL, numpy's BLAS, and two of numba."""
_AVX2 = ("AVX2", "FMA3", "X86_V3")
_AVX512 = ("AVX512", "X86_V4")

# https://oneapi-src.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html,
# https://numpy.org/doc/stable/reference/simd/build-options.html, and the MKL developer guide on
# conditional numerical reproducibility.
INSTRUCTION_SETS: dict[str, InstructionSet] = {
    "default": InstructionSet(
        ("default", "SSE41", "COMPATIBLE", "Nehalem", "generic", "+sse2"),
        ("AVX", "F16C", *_AVX2, *_AVX512),
    ),
    "avx2": InstructionSet(("avx2", "AVX2", "AVX2", "Haswell", "haswell", "+avx2,+fma"), _AVX512, "AVX2"),
    "avx512": InstructionSet(
        ("avx512", "AVX512_CORE", "AVX512", "SkylakeX", "skylake-avx512", "+avx512f"),
        ("AVX512_SPR",),
        "AVX512_SKX",
    ),
}


class Isa(InterpreterAxis):
    """``isa=("default", "avx2")``: levels of :data:`INSTRUCTION_SETS`, each compared with this process.

    With a single level, ``isa="avx2"``, everything runs at it; ``("native", "avx2")`` compares that with
    this process.
    """

    here = NATIVE
    close_by_default = True
    hints = (
        "matrix products, convolutions, exp and tanh, and torch.randn itself: vectors of another",
        "width round in another order. If inputs differ already, draw them with repro.rng()",
    )
    cause_reason = (
        "with vectors of another width a sum adds up in another order, a sort that is not stable puts equal "
        "keys in another order, or torch.randn draws other numbers"
    )
    cause_fix = (
        "fix the instruction set (ATEN_CPU_CAPABILITY, ONEDNN_MAX_CPU_ISA, MKL_CBWR) where bits must be "
        "equal, sort with kind='stable', draw inputs with repro.rng(), or compare within a tolerance"
    )

    def resolve_values(self, argument: object) -> tuple[object, ...]:
        values = ("default", "avx2") if argument is True else as_tuple(argument)
        known = NATIVE, *INSTRUCTION_SETS
        if not values or any(not isinstance(each, str) or each not in known for each in values):
            raise BadArgument(self.name, argument, f"instruction sets: {', '.join(known)}")
        return self.resolve_interpreters(values)

    def why_unavailable(self, value: object) -> str:
        if value == NATIVE:
            return ""
        level = INSTRUCTION_SETS[str(value)]
        if platform.machine().lower() not in ("x86_64", "amd64", "i386", "i686"):
            return f"{value} is an x86 instruction set, this machine is {platform.machine()}"
        supported = not level.required or _get_cpu_features().get(level.required)
        return "" if supported else f"the processor has no {value}"

    why_reference_unavailable = why_unavailable

    def get_generator_states(self) -> object:
        return read_torch_generators()  # numpy draws the same numbers with any

    def build_interpreter(self, value: object) -> Interpreter:
        level = INSTRUCTION_SETS[str(value)]
        known, features = getattr(_get_multiarray(), "__cpu_dispatch__", ()), _get_cpu_features()
        # numpy warns about any name that is no feature of this machine.
        disabled = " ".join(name for name in known if name.startswith(level.lacking) and features.get(name))
        environ = {**dict(zip(_VARIABLES, level.variables)), "NPY_DISABLE_CPU_FEATURES": disabled}
        return Interpreter(environ=environ, name=self.format_value(value))

    def format_pair(self, reference: object, value: object) -> str:
        return f"this machine's own instruction set and {value}"


def _get_multiarray() -> Any:
    import numpy  # noqa: F401  # imports the extension module

    name = "numpy._core" if "numpy._core" in sys.modules else "numpy.core"
    return sys.modules[f"{name}._multiarray_umath"]


def _get_cpu_features() -> Any:
    """The CPU features that numpy knows → whether this processor has them."""
    return getattr(_get_multiarray(), "__cpu_features__", {})


axis = Isa()
