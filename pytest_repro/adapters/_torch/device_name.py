"""The name of the first CUDA device, without initializing CUDA."""

from __future__ import annotations

import re
from pathlib import Path

import torch

_GPUS = Path("/proc/driver/nvidia/gpus")


def read_device_name() -> str:
    """The name of the first device: from the driver's files if all are of one model, else from CUDA."""
    try:
        texts = [path.read_text() for path in _GPUS.glob("*/information")]
    except OSError:
        texts = []
    found = (re.search(r"^Model:\s*(.+?)\s*$", text, re.MULTILINE) for text in texts)
    models = {match[1] if match else "" for match in found}
    model = models.pop() if len(models) == 1 else ""
    return model or torch.cuda.get_device_name(0)
