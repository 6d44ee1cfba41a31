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

from pytest_repro.companions.remote_main import serve_requests
from pytest_repro.core.diagnose.experiment import Experiment, ExperimentResult, decode_experiment
from pytest_repro.core.plan.cell import Cell
from pytest_repro.engine.experiments.fork import ForkFailed, run_in_forks
from pytest_repro.engine.experiments.fork_before_import import serve_fresh_forks
from pytest_repro.engine.experiments.process_setup import shifted_heap, single_threaded
from pytest_repro.engine.runs.remote_run import RemoteValues
from pytest_repro.plugin.pytest_internals import (
    mute_terminal,
    prepare_config,
    teardown_for_next,
    unregister_terminal,
)
from pytest_repro.plugin.run.outcome import find_missing_module, format_first_cause
from pytest_repro.plugin.run.replay import restore_logs
from pytest_repro.plugin.stash import PLAN

ItemKey = tuple[str, int]
"""A test's node id, and which of those with this id it is: under ``--pyargs`` ids can repeat."""


def iter_item_keys(items: list[pytest.Item]) -> Iterator[tuple[ItemKey, pytest.Item]]:
    """The place of each of *items*, in order."""
    seen: Counter[str] = Counter()
    for item in items:
        yield (item.nodeid, seen[item.nodeid]), item
        seen[item.nodeid] += 1


def serve(
    channel: Any, order: Mapping[str, Any], make_server: Callable[[Any], CompanionServer] | None = None
) -> None:
    """A session of pytest that runs what comes over *channel*.

    Args:
        channel: execnet's, or what a rank has in its place.
        order: ``args``, ``workerinput`` and ``basetemp`` of the session.
        make_server: Makes what answers on *channel*; a :class:`CompanionServer` by default.
    """
    if order.get("bare"):
        channel.send(("ready", 0))
        serve_fresh_forks(serve, channel, {**order, "bare": False})
        return
    server = (make_server or CompanionServer)(channel)
    if "threads" in order:  # it will be forked
        server.collection_stack.enter_context(single_threaded(order["threads"]))
    try:
        config = prepare_config(list(order["args"]), order["basetemp"] or None)
    except (pytest.UsageError, SystemExit) as error:
        channel.send(("refused", f"could not start pytest there: {error}"))
        return
    except Exception as error:  # of a plugin or a conftest
        channel.send(("refused", f"could not start pytest there: {format_first_cause(error)}"))
        return
    told: Any = config
    told.workerinput, told.workeroutput = dict(order["workerinput"]), {}
    config.pluginmanager.register(server, "repro-companion")
    if config.pluginmanager.has_plugin("xdist"):
        config.pluginmanager.register(_make_worker_id_plugin(order["worker_id"]), "repro-worker-id")
    if "memory_layout" in order:
        server.collection_stack.enter_context(shifted_heap(layout=order["memory_layout"]))
    with server.collection_stack:
        status = config.hook.pytest_cmdline_main(config=config)
    if not server.ready:
        why = "\n".join(server.collection_errors.values()) or f"exit status {status}"
        channel.send(("refused", f"could not collect the tests there: {why}"))


def _make_worker_id_plugin(worker: str) -> Any:
    """A plugin whose ``worker_id`` is what the test's other runs have from pytest-xdist."""

    @pytest.fixture(scope="session")
    def worker_id() -> str:
        """The name of the worker that this is a companion of."""
        return worker

    plugin: Any = ModuleType("repro-worker-id")  # of an object, pytest asks the class for fixtures
    plugin.worker_id = worker_id
    return plugin


class CompanionServer:
    """Stands in the place of pytest's loop over the tests.

    Attributes:
        outcome: Of the last run.
    """

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self.outcome = ""
        self.ready = False
        self.collection_stack = ExitStack()
        self.collection_errors: dict[str, str] = {}
        self._items: dict[ItemKey, pytest.Item] = {}
        self._values = RemoteValues(channel)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Nobody reads what the terminal's reporter here would write."""
        mute_terminal(session.config)

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Tells what broke: pytest ends now, and would do so in silence."""
        with suppress(OSError):
            self._channel.send(("refused", f"broke: {format_first_cause(excinfo.value)}"))

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Tells what a test that leaves the session says: there is another session to be told."""
        if isinstance(excinfo.value, pytest.exit.Exception):
            with suppress(OSError):
                self._channel.send(("refused", f"was left by pytest.exit: {excinfo.value}"))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keeps why a file could not be collected."""
        if report.failed:
            self.collection_errors[report.nodeid] = (
                find_missing_module(report.longreprtext) or report.longreprtext
            )

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Answers until the other side has had enough."""
        self._session, self._items = session, dict(iter_item_keys(session.items))
        self.ready = True
        self.collection_stack.close()
        self._channel.send(("ready", len(self._items)))
        try:
            ways: dict[str, Callable[..., Any]] = {
                "run": self._run,
                "fetch": self._values.send_value,
                "end": self._teardown_for_next,
                "try": self._fork_experiment,
            }
            serve_requests(self._channel, ways)
        finally:
            self._values.drop()
            unregister_terminal(session.config)
            # pytest collects garbage five times as it ends, and Python twice: with torch 0.2 s each.
            gc.freeze()
        return True

    def _run(self, nodeid: str, nth: int, number: int, *cell: Any) -> Any:
        item = self._items.get((nodeid, nth))
        if item is None or PLAN not in item.stash:
            return "unknown", self._explain_unknown(nodeid)
        self._values.drop()
        with suppress(Exception):  # of a module that ends: what it does there is told by this session
            teardown_for_next(self._session, item)
        conductor: Any = item.config.pluginmanager.get_plugin("repro-conductor")
        trial, run, recording = conductor.run_in_companion(
            item, Cell(*cell), number, self.note_subtest_report
        )
        self.outcome = run.outcome
        return self._values.keep_and_encode(trial, run, recording)

    def note_subtest_report(self, report: pytest.TestReport) -> None:
        """Hears the report of a subtest; that one failed is told by the run."""

    def _fork_experiment(self, encoded: str, seconds: float, nodeid: str, nth: int, logs: str) -> Any:
        """An experiment, in a fork of this process: it has collected and never computed."""
        item = self._items.get((nodeid, nth))
        if item is None or PLAN not in item.stash:
            return "unknown", self._explain_unknown(nodeid)
        restore_logs(item, logs)
        try:
            return "tried", run_in_forks(
                partial(self._run_experiment, item), decode_experiment(encoded), seconds
            )
        except ForkFailed as broken:
            return "unknown", str(broken)

    def _run_experiment(self, item: pytest.Item, experiment: Experiment) -> ExperimentResult:
        conductor: Any = item.config.pluginmanager.get_plugin("repro-conductor")
        try:
            tried: ExperimentResult = conductor.run_experiment(item, experiment)
        finally:
            with suppress(Exception):  # what wide fixtures have started outlives a fork that just ends
                teardown_for_next(self._session, None)
        return tried

    def _explain_unknown(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        why = next(
            (text for name, text in self.collection_errors.items() if name and file.startswith(name)), ""
        )
        known = f"collected {len(self._items)} test{'s' * (len(self._items) != 1)}, and not this one"
        apart = "\n" if "\n" in why else " "
        return f"{known}:{apart}{why}" if why else known

    def _teardown_for_next(self, nodeid: str | None, nth: int) -> None:
        """Tears down what the next test does not need, as the other side does now."""
        self._values.drop()
        following = self._items.get((nodeid, nth)) if nodeid is not None else None
        if nodeid is None or following is not None:
            with suppress(Exception):
                teardown_for_next(self._session, following)
