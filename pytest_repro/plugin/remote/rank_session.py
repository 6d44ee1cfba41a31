"""A pytest session in a rank, where each run has its own torch process group."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from typing import Any, NamedTuple

import pytest

from pytest_repro.adapters import active_adapters
from pytest_repro.companions.rank_main import ProcessGroups
from pytest_repro.plugin.pytest_internals import encode_report
from pytest_repro.plugin.remote import companion_session
from pytest_repro.plugin.run.outcome import find_xfail_reason

_EXTRA_WAIT = 60.0
"""Seconds that a collective waits longer than the main session, which can report where each rank is."""

Section = tuple[str, str, str]
"""A phase, a stream (``"stdout"``), and its captured text."""

Property = tuple[str, Any]
"""From ``record_property``: a number, text or bool; anything else as text."""


class RankResult(NamedTuple):
    """What a rank reports about a run.

    Attributes:
        encoded_run: The run with its observations, from :func:`.encode_run`.
        end_time: In seconds since the epoch.
        settled: Whether it counts: no library was first imported in it.
        xfail_reason: Why its failure was expected; None if it was not, or there is none.
        subtests: Reports of subtests, as JSON.
    """

    encoded_run: str
    outcome: str
    end_time: float
    settled: bool
    xfail_reason: str | None
    sections: list[Section]
    properties: list[Property]
    subtests: list[str]


def serve(channel: Any, order: Mapping[str, Any]) -> None:
    """Runs a pytest session that serves requests from *channel*.

    Args:
        channel: To the main session.
        order: As for a companion, and ``limit``: how long the main session waits, in seconds.
    """
    companion_session.serve(channel, order, _RankServer(channel, order["limit"] + _EXTRA_WAIT))


class _RankServer(companion_session.CompanionServer):
    """Serves requests that all ranks get at the same time."""

    def __init__(self, channel: Any, timeout: float) -> None:
        super().__init__(channel)
        self._groups = ProcessGroups(timeout)
        self._reset()

    def _reset(self) -> None:
        self._xfail_reason: str | None = None
        self._sections: list[Section] = []
        self._properties: list[Property] = []
        self._subtests: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Keeps captured output and properties: nobody reads reports in a rank."""
        report = yield
        self._sections = list(item._report_sections)
        self._properties = [(str(name), _to_plain_value(value)) for name, value in item.user_properties]
        if report.when != "teardown":  # another phase may follow
            self._xfail_reason = find_xfail_reason([report])
        return report

    def note_subtest_report(self, report: pytest.TestReport) -> None:
        """Keeps the report of a subtest, which the main session publishes."""
        self._subtests.append(encode_report(self._session.config, report))

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_timeout_set_timer(self) -> bool:
        """Sets no timer: the main session has a time limit, and can report where every rank is."""
        return True

    def _run(self, nodeid: str, nth: int, number: int, *cell: Any) -> Any:
        before = set(active_adapters())
        self._reset()
        with self._groups.init_process_group():
            word, answer = super()._run(nodeid, nth, number, *cell)
            settled = set(active_adapters()) <= before
            state = self._xfail_reason, self._sections, self._properties, self._subtests
            result = RankResult(answer, self.outcome, time.time(), settled, *state)
            # When this rank leaves the group, others fail too: the time shows which failed first. It answers
            # before it leaves, which with nccl waits for ranks that hang.
            self._channel.send((word, *(result if word == "ran" else [answer])))


def _to_plain_value(value: object) -> object:
    return value if isinstance(value, (bool, int, float, str)) or value is None else str(value)
