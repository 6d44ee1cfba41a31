"""A fixed set of axes for a nightly job: finds what many runs in one process do not show."""

from __future__ import annotations

from pytest_repro.axes import Bundle


class Stress(Bundle):
    """Another process, shuffled listings, another number of threads, filled memory."""

    parts = dict.fromkeys(("process", "order", "threads", "memory"), True)


axis = Stress()
