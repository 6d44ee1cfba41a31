"""syrupy: rehearsals compare with stored values, and leave neither counts nor files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

import pytest

from pytest_repro.plugin.peers import Peer

# Attributes of its session; missing ones are skipped.
_SESSION_ATTRIBUTES = ("_assertions", "_queued_snapshot_writes")
_FLUSH_METHOD = "_flush_snapshot_write_queue_key"


class Syrupy(Peer):
    """Restores the session after a rehearsal, which otherwise turns *generated* into *passed*."""

    module = "syrupy.session"

    @contextmanager
    def wrap_rehearsals(self, item: pytest.Item) -> Iterator[None]:
        session: Any = getattr(item.config, "_syrupy", None)
        known = vars(session) if session is not None else {}
        before = {name: known[name] for name in _SESSION_ATTRIBUTES if name in known}
        for name, value in before.items():
            known[name] = copy(value)
            known[name].clear()
        if hasattr(session, _FLUSH_METHOD):  # some kinds of file are written at once
            known[_FLUSH_METHOD] = _skip_flush
        try:
            yield
        finally:
            known.update(before)
            known.pop(_FLUSH_METHOD, None)


def _skip_flush(key: object) -> None:
    """Leaves the queue alone, so that a run finds what it stored."""


peer = Syrupy()
