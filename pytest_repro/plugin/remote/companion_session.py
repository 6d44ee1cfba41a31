"""A pytest session in a companion, which collects as the main session did and runs tests on request."""

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
from pytest_repro.core.diagnose import Experiment, ExperimentResult, decode_experiment
from pytest_repro.core.plan.plan import Cell
from pytest_repro.engine.experiments.fork import ForkFailed, run_in_forks, serve_fresh_forks
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
"""A test's node id, and its number among the tests with that id: ids can repeat under ``--pyargs``."""


def iter_item_keys(items: list[pytest.Item]) -> Iterator[tuple[ItemKey, pytest.Item]]:
    """The key of each of *items*, in order."""
    seen: Counter[str] = Counter()
    for item in items:
        yield (item.nodeid, seen[item.nodeid]), item
        seen[item.nodeid] += 1


def serve(channel: Any, order: Mapping[str, Any], server: CompanionServer | None = None) -> None:
    """Runs a pytest session that serves requests from *channel*.

    Args:
        channel: execnet's, or its equivalent in a rank.
        order: From :meth:`.CompanionLauncher.build_order`.
        server: Serves the requests; by default a :class:`CompanionServer`.
    """
    if order.get("bare"):
        channel.send(("ready", 0))
        serve_fresh_forks(serve, channel, {**order, "bare": False})
        return
    server = server or CompanionServer(channel)
    if "threads" in order:  # this process is forked later
        server.collection_stack.enter_context(single_threaded(order["threads"]))
    try:
        config = prepare_config(list(order["args"]), order["basetemp"] or None)
    except (Exception, SystemExit) as error:
        is_usage = isinstance(error, (pytest.UsageError, SystemExit))
        reason = error if is_usage else format_first_cause(error)  # from a plugin or a conftest
        channel.send(("refused", f"could not start pytest there: {reason}"))
        return
    vars(config).update(workerinput=dict(order["workerinput"]), workeroutput={})
    config.pluginmanager.register(server, "repro-companion")
    if config.pluginmanager.has_plugin("xdist"):
        config.pluginmanager.register(_make_worker_id_plugin(order["worker_id"]), "repro-worker-id")
    if "memory_layout" in order:
        server.collection_stack.enter_context(shifted_heap(layout=order["memory_layout"]))
    with server.collection_stack:
        status = config.hook.pytest_cmdline_main(config=config)
    if not server.ready:
        reason = "\n".join(server.collection_errors.values()) or f"exit status {status}"
        channel.send(("refused", f"could not collect the tests there: {reason}"))


def _make_worker_id_plugin(worker: str) -> Any:
    """A plugin with the ``worker_id`` that the test's other runs get from pytest-xdist."""

    @pytest.fixture(scope="session")
    def worker_id() -> str:
        """The worker that this companion belongs to."""
        return worker

    plugin: Any = ModuleType("repro-worker-id")  # pytest looks for an object's fixtures on its class
    plugin.worker_id = worker_id
    return plugin


class CompanionServer:
    """Replaces pytest's loop over the tests.

    Attributes:
        outcome: Outcome of the last run.
    """

    def __init__(self, channel: Any) -> None:
        self._channel, self._values = channel, RemoteValues(channel)
        self.outcome, self.ready, self.collection_stack = "", False, ExitStack()
        self.collection_errors: dict[str, str] = {}
        self._items: dict[ItemKey, pytest.Item] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Mutes the terminal reporter."""
        mute_terminal(session.config)

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Sends the error to the main session: pytest ends without a report."""
        self._refuse(f"broke: {format_first_cause(excinfo.value)}")

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Sends the reason of ``pytest.exit`` to the main session."""
        if isinstance(excinfo.value, pytest.exit.Exception):
            self._refuse(f"was left by pytest.exit: {excinfo.value}")

    def _refuse(self, reason: str) -> None:
        with suppress(OSError):
            self._channel.send(("refused", reason))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keeps why a file could not be collected."""
        if report.failed:
            text = report.longreprtext
            self.collection_errors[report.nodeid] = find_missing_module(text) or text

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Serves requests until the channel closes."""
        self._session, self._items = session, dict(iter_item_keys(session.items))
        self.ready = True
        self.collection_stack.close()
        self._channel.send(("ready", len(self._items)))
        try:
            functions: dict[str, Callable[..., Any]] = {"run": self._run, "try": self._fork_experiment}
            functions |= {"fetch": self._values.send_value, "end": self._teardown_for_next}
            serve_requests(self._channel, functions)
        finally:
            self._values.drop()
            unregister_terminal(session.config)
            # pytest collects garbage five times at its end, Python twice: 0.2 s each with torch.
            gc.freeze()
        return True

    def _run(self, nodeid: str, nth: int, number: int, *cell: Any) -> Any:
        item = self._find_item(nodeid, nth)
        if item is None:
            return "unknown", self._explain_unknown(nodeid)
        self._values.drop()
        with suppress(Exception):  # the main session reports what the end of a module breaks
            teardown_for_next(self._session, item)
        hooks: Any = item.config.pluginmanager.get_plugin("repro-hooks")
        trial, (run, recording) = hooks.run_in_companion(item, Cell(*cell), number, self.note_subtest_report)
        self.outcome = run.outcome
        return self._values.keep_and_encode(trial, run, recording)

    def note_subtest_report(self, report: pytest.TestReport) -> None:
        """Ignores the report of a subtest: the run itself is reported as failed."""

    def _fork_experiment(self, encoded: str, seconds: float, nodeid: str, nth: int, logs: str) -> Any:
        """Runs an experiment in a fork of this process, which has collected but not computed anything."""
        item = self._find_item(nodeid, nth)
        if item is None:
            return "unknown", self._explain_unknown(nodeid)
        restore_logs(item, logs)
        try:
            run_experiment = partial(self._run_experiment, item)
            return "tried", run_in_forks(run_experiment, decode_experiment(encoded), seconds)
        except ForkFailed as error:
            return "unknown", str(error)

    def _run_experiment(self, item: pytest.Item, experiment: Experiment) -> ExperimentResult:
        hooks: Any = item.config.pluginmanager.get_plugin("repro-hooks")
        try:
            result: ExperimentResult = hooks.run_experiment(item, experiment)
        finally:
            with suppress(Exception):  # what wider fixtures started would outlive the fork
                teardown_for_next(self._session, None)
        return result

    def _find_item(self, nodeid: str, nth: int) -> pytest.Item | None:
        item = self._items.get((nodeid, nth))
        return item if item is not None and PLAN in item.stash else None

    def _explain_unknown(self, nodeid: str) -> str:
        file, count, errors = nodeid.split("::")[0], len(self._items), self.collection_errors
        known = f"collected {count} test{'s' * (count != 1)}, and not this one"
        why = next((text for name, text in errors.items() if name and file.startswith(name)), "")
        separator = "\n" if "\n" in why else " "
        return f"{known}:{separator}{why}" if why else known

    def _teardown_for_next(self, nodeid: str | None, nth: int) -> None:
        """Tears down what the next test does not need, as the main session does now."""
        self._values.drop()
        next_item = self._items.get((nodeid, nth)) if nodeid is not None else None
        if nodeid is None or next_item is not None:
            with suppress(Exception):
                teardown_for_next(self._session, next_item)
