"""A fixed set of axes for a nightly job: what twenty runs in one process cannot see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pytest_repro.axes import Bundle


class Stress(Bundle):
    """Another process, shuffled listings, another number of threads, filled memory."""

    parts: ClassVar[Mapping[str, object]] = {
        "process": True,
        "order": True,
        "threads": True,
        "memory": True,
    }


axis = Stress()
