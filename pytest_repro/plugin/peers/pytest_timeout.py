"""pytest-timeout: limits each run of a test, but not the diagnosis."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pytest_repro.plugin.peers import Peer


class Timeout(Peer):
    """Stops the timer while the body of the last run waits, and restarts it after."""

    @contextmanager
    def wrap_pause(self, item: pytest.Item) -> Iterator[None]:
        hook: Any = item.ihook
        if not hasattr(hook, "pytest_timeout_cancel_timer"):
            yield
            return
        import pytest_timeout

        hook.pytest_timeout_cancel_timer(item=item)
        try:
            yield
        finally:
            settings = pytest_timeout._get_item_settings(item)
            if settings.timeout:
                hook.pytest_timeout_set_timer(item=item, settings=settings)


peer = Timeout()
