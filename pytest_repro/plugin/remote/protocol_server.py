"""Runs whole tests in a companion, with all their runs, as a worker of pytest-xdist does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from warnings import WarningMessage

import pytest

from pytest_repro.adapters import environment
from pytest_repro.core.text import escape_surrogates
from pytest_repro.plugin.remote.companion_server import CompanionServer
from pytest_repro.plugin.run.warnings import make_record

_PLAIN_TYPES = bool, int, float, str, bytes


class ProtocolServer(CompanionServer):
    """Also answers requests for a whole test, with the reports and warnings of its last run."""

    def __init__(self, channel: Any) -> None:
        super().__init__(channel)
        self._is_whole, self._events = False, list[tuple[str, Any]]()

    def _list_functions(self) -> dict[str, Callable[..., Any]]:
        return super()._list_functions() | {"protocol": self._run_protocol}

    def _run_protocol(self, nodeid: str, nth: int, next_nodeid: str | None, next_nth: int) -> Any:
        item = self._find_item(nodeid, nth)
        if isinstance(item, str):
            return "unknown", item
        self._prepare_for(item)
        self._is_whole, self._events = True, []
        nextitem = self._items.get((next_nodeid or "", next_nth))
        try:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=nextitem)
        except pytest.exit.Exception as error:  # ends the session too
            return "exit", str(error.msg), error.returncode
        finally:
            self._is_whole = False
        return "ran", self._events, to_plain_data(environment())

    def pytest_runtest_setup(self) -> None:
        """Tells the session that a run of a whole test begins: each one has the time to answer."""
        if self._is_whole:
            self._channel.send(("running",))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keeps the report of a phase, which the session publishes."""
        config = self._session.config
        data = config.hook.pytest_report_to_serializable(config=config, report=report)
        self._events.append(("report", to_plain_data(data)))

    def pytest_warning_recorded(self, warning_message: WarningMessage, nodeid: str) -> None:
        """Keeps a warning, which the session shows."""
        if nodeid:  # those of the collection are not of a test
            self._events.append(("warning", to_plain_data(tuple(make_record(warning_message)))))


def to_plain_data(value: Any) -> Any:
    """*value* as execnet sends it: anything but numbers, texts and collections of them as text."""
    if value is None or type(value) in _PLAIN_TYPES:
        return escape_surrogates(value)
    if isinstance(value, Mapping):
        return {to_plain_data(key): to_plain_data(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return (list if isinstance(value, list) else tuple)(map(to_plain_data, value))
    base = next((kind for kind in _PLAIN_TYPES if isinstance(value, kind)), str)
    return to_plain_data(base(value))
