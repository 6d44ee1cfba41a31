"""The machine that this process runs on."""

from __future__ import annotations

import os
from collections.abc import Mapping

VARIABLES: Mapping[str, str] = {
    "PYTHONHASHSEED": "order of sets of strings, and hash(); not set or random: differs in every process",
    "OMP_NUM_THREADS": "threads of torch and of OpenMP; not set: one per core",
    "MKL_NUM_THREADS": "threads of MKL, overrides OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS": "threads of numpy's BLAS",
    "OPENBLAS_CORETYPE": "kernels of numpy's BLAS; not set: those for this processor",
    "ATEN_CPU_CAPABILITY": "instruction set of torch's own kernels: default, avx2, avx512; not set: the best",
    "ONEDNN_MAX_CPU_ISA": "instruction set of oneDNN (convolutions, products); not set: the best",
    "MKL_CBWR": "instruction set of MKL: COMPATIBLE, AVX2, …; not set: the best, and alignment matters",
    "NPY_DISABLE_CPU_FEATURES": "instruction sets that numpy does not use",
    "CUBLAS_WORKSPACE_CONFIG": "up to torch 2.9, cuBLAS is deterministic only with :4096:8 or :16:8, set "
    "before CUDA starts",
    "NCCL_ALGO": "algorithm of NCCL's collectives; not set: by size, so that sums are added in another order",
    "TF_ENABLE_ONEDNN_OPTS": "0: TensorFlow uses its own kernels instead of oneDNN's",
    "TF_DETERMINISTIC_OPS": "1: TensorFlow uses deterministic kernels",
    "XLA_FLAGS": "options of XLA: how it fuses, its devices, deterministic ops",
    "JAX_ENABLE_X64": "1: JAX uses 64-bit numbers",
    "NVIDIA_TF32_OVERRIDE": "0: no NVIDIA library uses TF32, whatever a program sets",
}
"""Environment variables that change results, with their meaning."""


def read_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """The :data:`VARIABLES` that are set in *environ*, for a report."""
    return {name: environ[name] for name in VARIABLES if name in environ}


def count_cores() -> int:
    """The number of cores that this process may use."""
    get_affinity = getattr(os, "sched_getaffinity", None)
    return len(get_affinity(0)) if get_affinity else os.cpu_count() or 1
