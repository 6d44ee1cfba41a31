"""Every determinism switch: its state, and what it means in plain words."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pytest_repro.adapters import STANDARD_LIBRARY, active_adapters


class Switch(NamedTuple):
    """One switch as it stands.

    Attributes:
        name: Where it is found: ``torch cudnn.benchmark``, or the name of a variable.
        state: Its value as text; ``"not set"`` for a variable.
        meaning: What it does; ``""`` for a switch of another distribution's adapter.
    """

    name: str
    state: str
    meaning: str


VARIABLES: Mapping[str, str] = {
    "PYTHONHASHSEED": "order of sets of strings, and hash(); not set or random: another in every process",
    "OMP_NUM_THREADS": "threads of torch and of OpenMP; not set: as many as there are cores",
    "MKL_NUM_THREADS": "threads of MKL, whatever OMP_NUM_THREADS says",
    "OPENBLAS_NUM_THREADS": "threads of numpy's BLAS",
    "OPENBLAS_CORETYPE": "kernels of numpy's BLAS; not set: those for this processor",
    "ATEN_CPU_CAPABILITY": "instruction set of torch's own kernels: default, avx2, avx512; not set: the best",
    "ONEDNN_MAX_CPU_ISA": "instruction set of oneDNN (convolutions, products); not set: the best",
    "MKL_CBWR": "instruction set of MKL: COMPATIBLE, AVX2, …; not set: the best, and alignment counts",
    "NPY_DISABLE_CPU_FEATURES": "instruction sets that numpy does without",
    "CUBLAS_WORKSPACE_CONFIG": "up to torch 2.9 cuBLAS repeats itself with :4096:8 or :16:8 only; it must be "
    "set before CUDA starts",
    "NVIDIA_TF32_OVERRIDE": "0: no library of NVIDIA's takes TF32, whatever it is told",
}
"""Variables of the environment that change a result, each with what it does."""

# What is set while a marked test runs is in adapters/_torch_switches.py.
_MEANINGS: Mapping[str, str] = {
    "torch deterministic_algorithms": "on: ops take an implementation that repeats itself, and raise where "
    "there is none; warn: they say so. In a marked test: as its marker says, on by default",
    "torch fill_uninitialized_memory": "True: with deterministic algorithms, torch.empty is filled, and what "
    "is read before it was written repeats itself. In a marked test: True",
    "torch cudnn.benchmark": "True: cuDNN takes the kernel that is fastest today. In a marked test: False",
    "torch cudnn.deterministic": "True: cuDNN takes kernels that repeat themselves. In a marked test: True",
    "torch mkldnn.deterministic": "True: so does oneDNN. In a marked test: True",
    r"torch \w+\.\w+\.fp32_precision": "float32 in products and convolutions: ieee keeps 24 bits, tf32 11, "
    "bf16 8; none: as the wider switch says",
    "torch float32_matmul_precision": "highest: products of float32 keep all 24 bits; high, medium: fewer",
    "torch cudnn.allow_tf32": "True: convolutions on CUDA may keep 11 of the 24 bits of float32",
    r"torch (fp16|bf16)_reduced_precision": "True: products of halves on CUDA may add up in fewer bits",
    r"torch (flash|mem_efficient|math|cudnn)_sdp": "True: attention may take this kernel; each rounds in its "
    "own way, and shapes and dtypes decide which one it is",
    "torch default_dtype": "dtype of torch.ones(2) and nn.Linear",
    "torch default_device": "device of torch.ones(2); None: the CPU",
    "torch grad_mode": "whether gradients are recorded",
    "torch threads": "threads of one op: sums are split over them, and round in another way",
    r"numpy.geterr\(\)": "what numpy does at overflow and division by zero: it warns or raises, values stay",
}


def iter_switches() -> Iterator[Switch]:
    """The switches of every imported library, then the variables; asks no library that sleeps."""
    for name, adapter in active_adapters().items():
        # The standard library's are all variables there are, secrets among them.
        found = adapter.switches() if name != STANDARD_LIBRARY else {}
        for switch, state in found.items():
            if switch.rpartition(" ")[2] not in VARIABLES:
                yield Switch(switch, state, describe_switch(switch))
    for name, means in VARIABLES.items():
        yield Switch(name, os.environ.get(name, "not set"), means)


def describe_switch(name: str) -> str:
    """What the switch *name* does; ``""`` for what is not known here."""
    return next((means for pattern, means in _MEANINGS.items() if re.fullmatch(pattern, name)), "")
