"""Serves requests in a rank, all of which get them at the same time."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any, NamedTuple

import pytest

from pytest_repro.adapters import active_adapters
from pytest_repro.companions.rank_main import ProcessGroups
from pytest_repro.core.trace.rank_divergence import encode_comparison
from pytest_repro.plugin import pytest_internals
from pytest_repro.plugin.remote.companion_server import CompanionServer
from pytest_repro.plugin.run.outcome import find_xfail_reason
from pytest_repro.plugin.run.tracing import CellKey, Tracer
from pytest_repro.plugin.stash import TRACER

_EXTRA_WAIT = 60.0
"""Seconds that a collective waits longer than the main session, which can report where each rank is."""


class RankResult(NamedTuple):
    """What a rank reports about a run.

    Attributes:
        encoded_run: The run with its observations, from :func:`.encode_run`.
        end_time: In seconds since the epoch.
        settled: Whether it counts: no library was first imported in it.
        xfail_reason: Why its failure was expected; None if it was not, or there is none.
        sections: The phase, stream (``"stdout"``) and text of captured output.
        properties: From ``record_property``: a number, text or bool; anything else as text.
        subtests: Reports of subtests, as JSON.
    """

    encoded_run: str
    outcome: str
    end_time: float
    settled: bool
    xfail_reason: str | None
    sections: list[tuple[str, str, str]]
    properties: list[tuple[str, Any]]
    subtests: list[str]


class RankServer(CompanionServer):
    """Serves requests that all ranks get at the same time."""

    def __init__(self, channel: Any, limit: float) -> None:
        super().__init__(channel)
        self._groups = ProcessGroups(limit + _EXTRA_WAIT)
        self._traced_key, self._traces = ("", 0), Tracer()

    def _list_functions(self) -> dict[str, Callable[..., Any]]:
        return super()._list_functions() | {"trace": self._trace, "compare": self._compare}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Keeps captured output and properties: nobody reads reports in a rank."""
        report = yield
        properties = [(str(name), _to_plain_value(value)) for name, value in item.user_properties]
        self._kept.update(sections=list(item._report_sections), properties=properties)
        if report.when != "teardown":  # another phase may follow
            self._kept["xfail_reason"] = find_xfail_reason([report])
        return report

    def note_subtest_report(self, report: pytest.TestReport) -> None:
        """Keeps the report of a subtest, which the main session publishes."""
        self._kept["subtests"].append(pytest_internals.encode_report(self._session.config, report))

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_timeout_set_timer(self) -> bool:
        """Sets no timer: the main session has a time limit, and can report where every rank is."""
        return True

    def _run(self, nodeid: str, nth: int, number: int, *cell: Any) -> Any:
        before = set(active_adapters())
        self._kept = dict[str, Any](xfail_reason=None, sections=[], properties=[], subtests=[])
        with self._groups.init_process_group():
            answer = super()._run(nodeid, nth, number, *cell)
            if answer[0] == "ran":
                settled = set(active_adapters()) <= before
                result = RankResult(answer[1], self._outcome, time.time(), settled, **self._kept)
                answer = "ran", *result
            # When this rank leaves the group, others fail too: the time shows which failed first. It answers
            # before it leaves, which with nccl waits for ranks that hang.
            self._channel.send(answer)

    def _trace(self, nodeid: str, nth: int, number: int, *cell: Any) -> Any:
        """As ``"run"``, traced; the traces of one test are kept."""
        if self._traced_key != (nodeid, nth):
            self._traced_key, self._traces = (nodeid, nth), Tracer()
        if isinstance(item := self._find_item(nodeid, nth), str):
            return "unknown", item
        item.stash[TRACER] = self._traces
        try:
            return self._run(nodeid, nth, number, *cell)
        finally:
            del item.stash[TRACER]

    def _compare(self, reference: CellKey, other: CellKey) -> Any:
        return "compared", encode_comparison(self._traces.compare(reference, other))


def _to_plain_value(value: object) -> object:
    return value if isinstance(value, (int, float, str, type(None))) else str(value)
