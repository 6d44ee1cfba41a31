"""A pytest session in a companion or a rank: collects as the main session did, runs tests on request."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, nullcontext, suppress
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from pytest_repro.adapters import active_adapters
from pytest_repro.companions.rank_main import ProcessGroups
from pytest_repro.companions.remote_main import serve_requests
from pytest_repro.core.diagnose import Experiment, ExperimentResult, decode_experiment
from pytest_repro.core.plan.plan import Cell
from pytest_repro.engine.experiments.fork import ForkFailed, run_in_forks
from pytest_repro.engine.experiments.fresh_imports import import_libraries, serve_fresh_forks
from pytest_repro.engine.experiments.process_setup import single_threaded
from pytest_repro.engine.runs.remote_run import RemoteValues
from pytest_repro.plugin import pytest_internals
from pytest_repro.plugin.run.outcome import find_missing_module, find_xfail_reason, format_first_cause
from pytest_repro.plugin.run.replay import restore_logs
from pytest_repro.plugin.stash import PLAN
from pytest_repro.plugin.workerinput import RANK_KEY

ItemKey = tuple[str, int]
"""A test's node id, and its number among the tests with that id: ids can repeat under ``--pyargs``."""

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


def iter_item_keys(items: list[pytest.Item]) -> Iterator[tuple[ItemKey, pytest.Item]]:
    """The key of each of *items*, in order."""
    seen: Counter[str] = Counter()
    for item in items:
        yield (item.nodeid, seen[item.nodeid]), item
        seen[item.nodeid] += 1


def serve(channel: Any, order: Mapping[str, Any]) -> None:
    """Runs a pytest session that serves requests from *channel*.

    Args:
        channel: execnet's, or its equivalent in a rank.
        order: From :meth:`.CompanionLauncher.build_order`; in a rank also ``limit``, a time in seconds.
    """
    if order.get("bare"):
        import_libraries(order["libraries"])
        channel.send(("ready", 0))
        serve_fresh_forks(serve, channel, {**order, "bare": False})
        return
    is_rank = RANK_KEY in order["workerinput"]
    server = _RankServer(channel, order["limit"]) if is_rank else _CompanionServer(channel)
    if "threads" in order:  # this process is forked later
        server.collection_stack.enter_context(single_threaded(order["threads"]))
    server.collection_stack.enter_context(order.get("import_setup") or nullcontext())
    try:
        config = pytest_internals.prepare_config(list(order["args"]), order["basetemp"] or None)
    except (Exception, SystemExit) as error:
        reason = error if isinstance(error, (pytest.UsageError, SystemExit)) else format_first_cause(error)
        channel.send(("refused", f"could not start pytest there: {reason}"))
        return
    vars(config).update(workerinput=dict(order["workerinput"]), workeroutput={})
    config.pluginmanager.register(server, "repro-companion")
    if config.pluginmanager.has_plugin("xdist"):  # the fixture of the test's other runs
        plugin: Any = ModuleType("repro-worker-id")  # pytest looks for an object's fixtures on its class
        plugin.worker_id = pytest.fixture(scope="session", name="worker_id")(lambda: order["worker_id"])
        config.pluginmanager.register(plugin, "repro-worker-id")
    server.collection_stack.enter_context(order.get("layout_setup") or nullcontext())
    with server.collection_stack:
        status = config.hook.pytest_cmdline_main(config=config)
    if not server.ready:
        reason = "\n".join(server.collection_errors.values()) or f"exit status {status}"
        channel.send(("refused", f"could not collect the tests there: {reason}"))


class _CompanionServer:
    """Replaces pytest's loop over the tests."""

    def __init__(self, channel: Any) -> None:
        self._channel, self._values = channel, RemoteValues(channel)
        self.ready, self.collection_stack, self._outcome = False, ExitStack(), ""
        self.collection_errors: dict[str, str] = {}
        self._items: dict[ItemKey, pytest.Item] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        pytest_internals.mute_terminal(session.config)

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
        if report.failed:
            text = report.longreprtext
            self.collection_errors[report.nodeid] = find_missing_module(text) or text

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
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
            pytest_internals.unregister_terminal(session.config)
            # pytest collects garbage five times at its end, Python twice: 0.2 s each with torch.
            gc.freeze()
        return True

    def _run(self, nodeid: str, nth: int, number: int, *cell: Any) -> Any:
        item = self._find_item(nodeid, nth)
        if isinstance(item, str):
            return "unknown", item
        self._values.drop()
        with suppress(Exception):  # the main session reports what the end of a module breaks
            pytest_internals.teardown_for_next(self._session, item)
        hooks: Any = item.config.pluginmanager.get_plugin("repro-hooks")
        trial, (run, recording) = hooks.run_in_companion(item, Cell(*cell), number, self.note_subtest_report)
        self._outcome = run.outcome
        return self._values.keep_and_encode(trial, run, recording)

    def note_subtest_report(self, report: pytest.TestReport) -> None:
        """Ignores the report of a subtest: the run itself is reported as failed."""

    def _fork_experiment(self, encoded: str, seconds: float, nodeid: str, nth: int, logs: str) -> Any:
        """Runs an experiment in a fork of this process, which has collected but not computed anything."""
        item = self._find_item(nodeid, nth)
        if isinstance(item, str):
            return "unknown", item
        restore_logs(item, logs)
        run = partial(self._run_experiment, item)
        try:
            return "tried", run_in_forks(run, decode_experiment(encoded), seconds)
        except ForkFailed as error:
            return "unknown", str(error)

    def _run_experiment(self, item: pytest.Item, experiment: Experiment) -> ExperimentResult:
        hooks: Any = item.config.pluginmanager.get_plugin("repro-hooks")
        try:
            return hooks.run_experiment(item, experiment)  # type: ignore[no-any-return]
        finally:
            with suppress(Exception):  # what wider fixtures started would outlive the fork
                pytest_internals.teardown_for_next(self._session, None)

    def _find_item(self, nodeid: str, nth: int) -> pytest.Item | str:
        """The marked test of that key, or why it is unknown."""
        item = self._items.get((nodeid, nth))
        if item is not None and PLAN in item.stash:
            return item
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
                pytest_internals.teardown_for_next(self._session, next_item)


class _RankServer(_CompanionServer):
    """Serves requests that all ranks get at the same time."""

    def __init__(self, channel: Any, limit: float) -> None:
        super().__init__(channel)
        self._groups = ProcessGroups(limit + _EXTRA_WAIT)

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


def _to_plain_value(value: object) -> object:
    return value if isinstance(value, (int, float, str, type(None))) else str(value)
