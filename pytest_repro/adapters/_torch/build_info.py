"""What torch computes with: the libraries it was built with, the accelerator that is there."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import torch

_GPUS = Path("/proc/driver/nvidia/gpus")
_NONE = "none"


@cache
def read_cpu_libraries() -> dict[str, str]:
    """Versions of the libraries of the CPU, as torch tells them in one text."""
    shown = torch.__config__.show()
    onednn = re.search(r"(?:MKL-DNN|oneDNN) v([\w.]+)", shown)
    mkl = re.search(r"Math Kernel Library Version ([\w.]+)", shown)
    blas = re.search(r"BLAS_INFO=(\w+)", shown)
    return {
        "torch blas": f"mkl {mkl[1]}" if mkl else blas[1] if blas else "unknown",
        "onednn": onednn[1] if onednn else _NONE,
    }


@cache
def read_accelerator() -> dict[str, str]:
    """The first device, and what it computes with; the same before CUDA starts as after."""
    if not _has_cuda():
        mps = torch.backends.mps.is_available()
        return {"device": "mps" if mps else "cpu", "cuda": _NONE, "cudnn": _NONE}
    backends: Any = torch.backends
    version = torch.version.cuda or getattr(torch.version, "hip", None)
    return {
        "device": _read_device_name(),
        "cuda": str(version),
        "cudnn": str(backends.cudnn.version() or _NONE),
    }


def _has_cuda() -> bool:
    # Asks the driver's own counter: is_available() would start CUDA, and no process may fork after that.
    backends: Any = torch.backends
    return backends.cuda.is_built() and torch.cuda.device_count() > 0


def _read_device_name() -> str:
    """The device's name: where all are of one kind the driver tells it, and CUDA need not start."""
    try:
        told = {_parse_model(each.read_text()) for each in _GPUS.glob("*/information")}
    except OSError:
        told = set()
    only = told.pop() if len(told) == 1 else ""
    return only or torch.cuda.get_device_name(0)


def _parse_model(information: str) -> str:
    found = re.search(r"^Model:\s*(.+?)\s*$", information, re.MULTILINE)
    return found[1] if found else ""
