"""syrupy: rehearsals compare with stored values, and leave neither counts nor files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy

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
        session = getattr(item.config, "_syrupy", None)
        with pytest.MonkeyPatch.context() as patch:
            for name in _SESSION_ATTRIBUTES:
                if hasattr(session, name):
                    empty = copy(getattr(session, name))
                    empty.clear()
                    patch.setattr(session, name, empty)
            if hasattr(session, _FLUSH_METHOD):  # some kinds of file are written at once
                patch.setattr(session, _FLUSH_METHOD, lambda key: None)  # a run finds what it stored
            yield


peer = Syrupy()
