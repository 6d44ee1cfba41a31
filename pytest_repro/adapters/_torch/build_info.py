"""The libraries that torch was built with, and the accelerator."""

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
    """Versions of the CPU libraries, parsed from ``torch.__config__.show()``."""
    config = torch.__config__.show()
    onednn = re.search(r"(?:MKL-DNN|oneDNN) v([\w.]+)", config)
    mkl = re.search(r"Math Kernel Library Version ([\w.]+)", config)
    blas = re.search(r"BLAS_INFO=(\w+)", config)
    return {
        "torch blas": f"mkl {mkl[1]}" if mkl else blas[1] if blas else "unknown",
        "onednn": onednn[1] if onednn else _NONE,
    }


@cache
def read_accelerator() -> dict[str, str]:
    """The first device and its libraries. Does not initialize CUDA; the result is the same after."""
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
    # device_count() asks the driver; is_available() would initialize CUDA, after which no process may fork.
    backends: Any = torch.backends
    return backends.cuda.is_built() and torch.cuda.device_count() > 0


def _read_device_name() -> str:
    """The name of the first device: from the driver's files if all are of one model, else from CUDA."""
    try:
        models = {_parse_model(path.read_text()) for path in _GPUS.glob("*/information")}
    except OSError:
        models = set()
    model = models.pop() if len(models) == 1 else ""
    return model or torch.cuda.get_device_name(0)


def _parse_model(information: str) -> str:
    match = re.search(r"^Model:\s*(.+?)\s*$", information, re.MULTILINE)
    return match[1] if match else ""
