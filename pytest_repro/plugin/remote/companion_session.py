"""pytest in a companion: collects what the session collected, runs what it is asked to."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from types import ModuleType
from typing import Any

import pytest

from pytest_repro.companions.remote_main import answer
from pytest_repro.core.diagnose.experiment import Experiment, Tried, experiment_of
from pytest_repro.core.plan.cell import Cell
from pytest_repro.engine.experiments.fork import Broken, tried_apart
from pytest_repro.engine.experiments.fork_before_import import serve_anew
from pytest_repro.engine.experiments.memory_layout import stirred
from pytest_repro.engine.experiments.single_thread import one_thread
from pytest_repro.engine.runs.remote_run import Kept
from pytest_repro.plugin import PLAN
from pytest_repro.plugin.pytest_internals import mute, prepared, teardown_to, unheard
from pytest_repro.plugin.run.outcome import broke, missing_module
from pytest_repro.plugin.run.replay import take_logs

Place = tuple[str, int]
"""A test's node id, and which of those with this id it is: under ``--pyargs`` ids can repeat."""


def places(items: list[pytest.Item]) -> Iterator[tuple[Place, pytest.Item]]:
    """The place of each of *items*, in order."""
    seen: Counter[str] = Counter()
    for item in items:
        yield (item.nodeid, seen[item.nodeid]), item
        seen[item.nodeid] += 1


def serve(channel: Any, order: Mapping[str, Any], made: Callable[[Any], Server] | None = None) -> None:
    """A session of pytest that runs what comes over *channel*.

    Args:
        channel: execnet's, or what a rank has in its place.
        order: ``args``, ``workerinput`` and ``basetemp`` of the session.
        made: Makes what answers on *channel*; a :class:`Server` by default.
    """
    if order.get("bare"):
        channel.send(("ready", 0))
        serve_anew(serve, channel, {**order, "bare": False})
        return
    server = (made or Server)(channel)
    if "threads" in order:  # it will be forked
        server.collecting.enter_context(one_thread(order["threads"]))
    try:
        config = prepared(list(order["args"]), order["basetemp"] or None)
    except (pytest.UsageError, SystemExit) as error:
        channel.send(("refused", f"could not start pytest there: {error}"))
        return
    except Exception as error:  # of a plugin or a conftest
        channel.send(("refused", f"could not start pytest there: {broke(error)}"))
        return
    told: Any = config
    told.workerinput, told.workeroutput = dict(order["workerinput"]), {}
    config.pluginmanager.register(server, "repro-companion")
    if config.pluginmanager.has_plugin("xdist"):
        config.pluginmanager.register(_named(order["worker_id"]), "repro-worker-id")
    if "stirred" in order:
        server.collecting.enter_context(stirred(way=order["stirred"]))
    with server.collecting:
        status = config.hook.pytest_cmdline_main(config=config)
    if not server.ready:
        why = "\n".join(server.broken.values()) or f"exit status {status}"
        channel.send(("refused", f"could not collect the tests there: {why}"))


def _named(worker: str) -> Any:
    """A plugin whose ``worker_id`` is what the test's other runs have from pytest-xdist."""

    @pytest.fixture(scope="session")
    def worker_id() -> str:
        """The name of the worker that this is a companion of."""
        return worker

    plugin: Any = ModuleType("repro-worker-id")  # of an object, pytest asks the class for fixtures
    plugin.worker_id = worker_id
    return plugin


class Server:
    """Stands in the place of pytest's loop over the tests.

    Attributes:
        outcome: Of the last run.
    """

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self.outcome = ""
        self.ready = False
        self.collecting = ExitStack()
        self.broken: dict[str, str] = {}
        self._items: dict[Place, pytest.Item] = {}
        self._kept = Kept(channel)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Nobody reads what the terminal's reporter here would write."""
        mute(session.config)

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Tells what broke: pytest ends now, and would do so in silence."""
        with suppress(OSError):
            self._channel.send(("refused", f"broke: {broke(excinfo.value)}"))

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Tells what a test that leaves the session says: there is another session to be told."""
        if isinstance(excinfo.value, pytest.exit.Exception):
            with suppress(OSError):
                self._channel.send(("refused", f"was left by pytest.exit: {excinfo.value}"))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keeps why a file could not be collected."""
        if report.failed:
            self.broken[report.nodeid] = missing_module(report.longreprtext) or report.longreprtext

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Answers until the other side has had enough."""
        self._session, self._items = session, dict(places(session.items))
        self.ready = True
        self.collecting.close()
        self._channel.send(("ready", len(self._items)))
        try:
            ways: dict[str, Callable[..., Any]] = {
                "run": self._run,
                "fetch": self._kept.fetch,
                "end": self._end,
                "try": self._try,
            }
            answer(self._channel, ways)
        finally:
            self._kept.drop()
            unheard(session.config)
            # pytest collects garbage five times as it ends, and Python twice: with torch 0.2 s each.
            gc.freeze()
        return True

    def _run(self, nodeid: str, nth: int, number: int, *cell: Any) -> Any:
        item = self._items.get((nodeid, nth))
        if item is None or PLAN not in item.stash:
            return "unknown", self._why_unknown(nodeid)
        self._kept.drop()
        with suppress(Exception):  # of a module that ends: what it does there is told by this session
            teardown_to(self._session, item)
        conductor: Any = item.config.pluginmanager.get_plugin("repro-conductor")
        trial, run, recording = conductor.apart(item, Cell(*cell), number, self.heard)
        self.outcome = run.outcome
        return self._kept.said(trial, run, recording)

    def heard(self, report: pytest.TestReport) -> None:
        """Hears the report of a subtest; that one failed is told by the run."""

    def _try(self, text: str, seconds: float, nodeid: str, nth: int, logs: str) -> Any:
        """An experiment, in a fork of this process: it has collected and never computed."""
        item = self._items.get((nodeid, nth))
        if item is None or PLAN not in item.stash:
            return "unknown", self._why_unknown(nodeid)
        take_logs(item, logs)
        try:
            return "tried", tried_apart(partial(self._perform, item), experiment_of(text), seconds)
        except Broken as broken:
            return "unknown", str(broken)

    def _perform(self, item: pytest.Item, asked: Experiment) -> Tried:
        conductor: Any = item.config.pluginmanager.get_plugin("repro-conductor")
        try:
            tried: Tried = conductor.perform(item, asked)
        finally:
            with suppress(Exception):  # what wide fixtures have started outlives a fork that just ends
                teardown_to(self._session, None)
        return tried

    def _why_unknown(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        why = next((text for name, text in self.broken.items() if name and file.startswith(name)), "")
        known = f"collected {len(self._items)} test{'s' * (len(self._items) != 1)}, and not this one"
        apart = "\n" if "\n" in why else " "
        return f"{known}:{apart}{why}" if why else known

    def _end(self, nodeid: str | None, nth: int) -> None:
        """Tears down what the next test does not need, as the other side does now."""
        self._kept.drop()
        following = self._items.get((nodeid, nth)) if nodeid is not None else None
        if nodeid is None or following is not None:
            with suppress(Exception):
                teardown_to(self._session, following)
