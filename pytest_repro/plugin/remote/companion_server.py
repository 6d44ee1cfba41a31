"""Serves requests in a companion, in place of pytest's loop over the tests."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

import pytest

from pytest_repro.companions.remote_main import serve_requests
from pytest_repro.core.diagnose import Experiment, ExperimentResult, decode_experiment
from pytest_repro.core.plan.plan import Cell
from pytest_repro.engine.experiments.fork import ForkFailed, run_in_forks
from pytest_repro.engine.runs.remote_run import RemoteValues
from pytest_repro.plugin import pytest_internals
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


class CompanionServer:
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
            serve_requests(self._channel, self._list_functions())
        finally:
            self._values.drop()
            pytest_internals.unregister_terminal(session.config)
            # pytest collects garbage five times at its end, Python twice: 0.2 s each with torch.
            gc.freeze()
        return True

    def _list_functions(self) -> dict[str, Callable[..., Any]]:
        """By the first word of a request."""
        functions: dict[str, Callable[..., Any]] = {"run": self._run, "try": self._fork_experiment}
        return functions | {"fetch": self._values.send_value, "end": self._teardown_for_next}

    def _run(self, nodeid: str, nth: int, number: int, *cell: Any) -> Any:
        item = self._find_item(nodeid, nth)
        if isinstance(item, str):
            return "unknown", item
        self._prepare_for(item)
        hooks: Any = item.config.pluginmanager.get_plugin("repro-hooks")
        trial, (run, recording) = hooks.run_in_companion(item, Cell(*cell), number, self.note_subtest_report)
        self._outcome = run.outcome
        return self._values.keep_and_encode(trial, run, recording)

    def _prepare_for(self, item: pytest.Item) -> None:
        """Drops the values of the last run, and tears down what *item* does not need."""
        self._values.drop()
        with suppress(Exception):  # the main session reports what the end of a module breaks
            pytest_internals.teardown_for_next(self._session, item)

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
