"""syrupy: rehearsals compare with what is stored, and leave neither counts nor files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

import pytest

from pytest_repro.plugin.peers import Peer

# What its session gathers; where a name is gone, it is passed over.
_GATHERED = ("_assertions", "_queued_snapshot_writes")
_WRITE = "_flush_snapshot_write_queue_key"


class Syrupy(Peer):
    """What one rehearsal stored, the next run would find there: *passed*, no longer *generated*."""

    module = "syrupy.session"

    @contextmanager
    def rehearsing(self, item: pytest.Item) -> Iterator[None]:
        session: Any = getattr(item.config, "_syrupy", None)
        known = vars(session) if session is not None else {}
        before = {name: known[name] for name in _GATHERED if name in known}
        for name, value in before.items():
            known[name] = copy(value)
            known[name].clear()
        if hasattr(session, _WRITE):  # some kinds of file are written at once
            known[_WRITE] = _unwritten
        try:
            yield
        finally:
            known.update(before)
            known.pop(_WRITE, None)


def _unwritten(key: object) -> None:
    """Leaves the queue as it is: what a run stored is there for the rest of it."""


peer = Syrupy()
