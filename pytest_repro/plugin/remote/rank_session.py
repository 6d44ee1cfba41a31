"""pytest in a rank: runs what it is asked to, each time in a process group of torch made for that run."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from typing import Any, NamedTuple

import pytest

from pytest_repro.adapters import active_adapters
from pytest_repro.companions.ranks.rank_main import ProcessGroups
from pytest_repro.plugin.pytest_internals import encode_report
from pytest_repro.plugin.remote import companion_session
from pytest_repro.plugin.run.outcome import find_xfail_reason

_EXTRA_WAIT = 60.0
"""Seconds that a collective waits longer than the session does, which can say where each rank is."""


Section = tuple[str, str, str]
"""A phase, ``"stdout"`` or another stream, and what was captured of it."""


Property = tuple[str, Any]
"""Of ``record_property``: numbers, texts and truth values, all else as text."""


class RankResult(NamedTuple):
    """What a rank says of a run.

    Attributes:
        encoded_run: The run and what it observed, as :func:`pytest_repro.companions.serialize_run.encode_run` writes it.
        outcome: Of the run.
        end_time: When it had ended, in seconds since the epoch.
        settled: Whether it counts: no library was first imported in it.
        xfail_reason: Why its failure was expected; None where it was not, or there is none.
        sections: What was captured.
        properties: What the test adds to its report.
        subtests: Their reports, as JSON.
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
    """A session of pytest in a rank.

    Args:
        channel: To the session that asked for it.
        order: As for a companion; ``limit``, the seconds that the session waits.
    """
    groups = ProcessGroups(order["limit"] + _EXTRA_WAIT)
    companion_session.serve(channel, order, lambda line: _RankServer(line, groups))


class _RankServer(companion_session.CompanionServer):
    """Answers with what one rank did; the others are asked the same at the same time."""

    def __init__(self, channel: Any, groups: ProcessGroups) -> None:
        super().__init__(channel)
        self._groups = groups
        self._reset()

    def _reset(self) -> None:
        self._xfail_reason: str | None = None
        self._sections: list[Section] = []
        self._properties: list[Property] = []
        self._subtests: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Keeps what was captured and added: nobody reads the reports made here."""
        report = yield
        self._sections = list(item._report_sections)
        self._properties = [(str(name), _to_plain_value(value)) for name, value in item.user_properties]
        if report.when != "teardown":  # which may follow
            self._xfail_reason = find_xfail_reason([report])
        return report

    def note_subtest_report(self, report: pytest.TestReport) -> None:
        """Keeps the report of a subtest, for the session to give it out."""
        self._subtests.append(encode_report(self._session.config, report))

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_timeout_set_timer(self) -> bool:
        """Sets none: the session has a limit of its own, and can say where every rank is."""
        return True

    def _run(self, nodeid: str, nth: int, number: int, *cell: Any) -> Any:
        before = set(active_adapters())
        self._reset()
        with self._groups.init_process_group():
            word, said = super()._run(nodeid, nth, number, *cell)
            # Others fail when this one leaves the group: the first is known by its time. It is said
            # at once, since nccl waits in leaving for one that hangs.
            settled = set(active_adapters()) <= before
            told = RankResult(
                said, self.outcome, time.time(), settled,
                self._xfail_reason, self._sections, self._properties, self._subtests,
            )  # fmt: skip
            self._channel.send((word, *(told if word == "ran" else [said])))


def _to_plain_value(value: object) -> object:
    return value if isinstance(value, (bool, int, float, str)) or value is None else str(value)
