"""Runs an item silently. The only module that knows pytest's inside (``_pytest``).

A rehearsal is pytest's own protocol with nobody listening. What other plugins would see of it is
kept from them: reports, warnings, captured output, properties, markers added while the test ran.
"""

from __future__ import annotations

import copy
import io
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import pytest
from _pytest._code.code import ExceptionChainRepr, ReprEntry, ReprFileLocation, ReprTraceback
from _pytest.runner import runtestprotocol

# Raised by rehearsals, these would be heard by reporters, debuggers and warning summaries.
_UNHEARD = frozenset(
    {
        "pytest_runtest_logreport",
        "pytest_runtest_logstart",
        "pytest_runtest_logfinish",
        "pytest_exception_interact",
        "pytest_warning_recorded",
    }
)
_MUTED_OPTIONS = {"setupshow": False, "trace": False}


class _Unheard:
    """A hook nobody implements."""

    def __init__(self, heard: Callable[[Any], None] | None = None) -> None:
        self._heard = heard

    def __call__(self, **arguments: Any) -> list[Any]:
        if self._heard is not None:
            self._heard(arguments["report"])
        return []

    def call_historic(self, **arguments: Any) -> None:
        """Warnings are recorded by a historic hook."""


class _Relay:
    """The hooks of an item without those that others listen to."""

    def __init__(self, relay: Any, heard: Callable[[Any], None]) -> None:
        self._relay, self._heard = relay, heard

    def __getattr__(self, name: str) -> Any:
        if name in _UNHEARD:
            return _Unheard(self._heard if name == "pytest_runtest_logreport" else None)
        return getattr(self._relay, name)


@contextmanager
def silence(item: pytest.Item, heard: Callable[[Any], None]) -> Iterator[None]:
    """Keeps everything that happens to *item* in the block from being seen by others.

    Args:
        item: The test.
        heard: Called with reports that would have gone out: subtests send their own.
    """
    session: Any = item.session
    ways = session.gethookproxy
    with ExitStack() as stack:
        stack.callback(session.__dict__.pop, "gethookproxy", None)
        session.gethookproxy = lambda path: _Relay(ways(path), heard)
        stack.enter_context(_options(item.config))
        stack.enter_context(_logging(item.config))
        stack.enter_context(_output(item.config))
        stack.enter_context(_marks(item))
        stack.enter_context(_subtests(item))
        yield


@contextmanager
def _options(config: pytest.Config) -> Iterator[None]:
    options = vars(config.option)
    before = {name: options[name] for name in _MUTED_OPTIONS if options.get(name)}
    options.update({name: _MUTED_OPTIONS[name] for name in before})
    try:
        yield
    finally:
        options.update(before)


@contextmanager
def _logging(config: pytest.Config) -> Iterator[None]:
    """Live logging and the log file write at once, past all reports."""
    plugin: Any = config.pluginmanager.get_plugin("logging-plugin")
    names = ("log_cli_handler", "log_file_handler")
    handlers = [h for h in (getattr(plugin, name, None) for name in names) if h is not None]
    for handler in handlers:
        handler.addFilter(_nothing)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(_nothing)


def _nothing(record: logging.LogRecord) -> bool:
    return False


class _Sink(io.TextIOBase):
    def write(self, text: str) -> int:
        return len(text)

    def fileno(self) -> int:
        return sys.__stdout__.fileno() if sys.__stdout__ is not None else 1


@contextmanager
def _output(config: pytest.Config) -> Iterator[None]:
    """Where pytest does not capture (``-s``), or shows while it captures, output is dropped."""
    if config.getoption("capture", None) not in ("no", "tee-sys"):
        yield
        return
    with redirect_stdout(_Sink()), redirect_stderr(_Sink()):
        yield


@contextmanager
def _marks(item: pytest.Item) -> Iterator[None]:
    """Markers, properties and captured sections that the test adds while it runs."""
    marks, properties = list(item.own_markers), list(item.user_properties)
    sections: list[Any] = getattr(item, "_report_sections", [])
    kept = list(sections)
    try:
        yield
    finally:
        item.own_markers[:] = marks
        item.user_properties[:] = properties
        sections[:] = kept


def _failed_subtests(item: pytest.Item) -> Any:
    try:
        from _pytest.subtests import failed_subtests_key
    except ImportError:  # before pytest 9.0
        return {}
    return item.config.stash.get(failed_subtests_key, {})


@contextmanager
def _subtests(item: pytest.Item) -> Iterator[None]:
    """pytest counts failed subtests by test, over all its runs."""
    counts = _failed_subtests(item)
    before = dict(counts)
    try:
        yield
    finally:
        counts.clear()
        counts.update(before)


def fresh(item: Any) -> None:
    """Drops the class instance, so that the next run gets a new one."""
    if isinstance(item.parent, pytest.Class):
        item.__dict__.pop("_instance", None)
        item.__dict__.pop("_obj", None)


class Rehearser:
    """Runs items inside the protocol wrappers of other plugins, and reports to nobody.

    A wrapper is where a plugin bounds a test's time or sets its warning filters; each rehearsal
    gets its own. The implementations that are no wrappers would run the test themselves, so they
    are left out, but for the one below, which answers only while a rehearsal is asked for.
    """

    def __init__(self, manager: pytest.PytestPluginManager, without: object) -> None:
        self._manager, self._without = manager, without
        self._asked = False
        self._reports: list[pytest.TestReport] = []
        manager.register(self, "repro-rehearser")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Runs the rehearsal that was asked for; otherwise leaves the item to others."""
        if not self._asked:
            return None
        self._asked = False
        # The next item is a copy of this one: with the item itself pytest would tear nothing
        # down, and with None it would tear down the module's fixtures as well.
        self._reports = runtestprotocol(item, log=False, nextitem=copy.copy(item))
        return True

    def once(self, item: pytest.Item) -> list[pytest.TestReport]:
        """One rehearsal of *item*; gives the reports that nobody else sees."""
        self._asked, self._reports = True, []
        try:
            self._wrapped()(item=item, nextitem=item)
        finally:
            self._asked = False
        fresh(item)
        return self._reports

    def _wrapped(self) -> Any:
        impls = self._manager.hook.pytest_runtest_protocol.get_hookimpls()
        others = [i.plugin for i in impls if not (i.wrapper or i.hookwrapper) and i.plugin is not self]
        return self._manager.subset_hook_caller("pytest_runtest_protocol", [*others, self._without])


def autouse(fixturedef: Any) -> bool:
    """Whether a fixture is there for its effect on the world: nobody asks for its value."""
    return bool(getattr(fixturedef, "_autouse", False)) or fixturedef.argname.startswith("_")


def only_shown(config: pytest.Config) -> bool:
    """Whether tests are not called at all: ``--setup-only``, ``--setup-plan``."""
    return bool(config.getoption("setuponly", False) or config.getoption("setupplan", False))


def plain_repr(text: str, path: str, line: int, message: str) -> ExceptionChainRepr:
    """A failure that is shown by *text* alone, without a traceback.

    Args:
        text: What is shown.
        path: File of the test.
        line: Its line, from 1.
        message: What one-line summaries and JUnit show.
    """
    entry = ReprEntry(text.split("\n"), None, None, None, "value")
    shown = ReprTraceback([entry], None, "value")
    return ExceptionChainRepr([(shown, ReprFileLocation(path, line, message), None)])
