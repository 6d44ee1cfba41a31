"""Keeps a rehearsal from being seen by others.

Hidden are reports, warnings, captured output, properties, and markers added while the test runs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from pytest_repro.plugin.pytest_internals import get_failed_subtest_counts, get_suite_properties
from pytest_repro.plugin.run.mute_output import mute_output

# Called by rehearsals, these would reach reporters, debuggers and warning summaries.
_SILENCED_HOOKS = frozenset(
    {
        "pytest_runtest_logreport",
        "pytest_runtest_logstart",
        "pytest_runtest_logfinish",
        "pytest_exception_interact",
        "pytest_warning_recorded",
    }
)
_MUTED_OPTIONS = {"setupshow": False}


class _SilencedHook:
    """A hook without implementations."""

    def __init__(self, callback: Callable[[Any], None] | None = None) -> None:
        self._callback = callback

    def __call__(self, **arguments: Any) -> list[Any]:
        if self._callback is not None:
            self._callback(arguments["report"])
        return []

    def call_historic(self, kwargs: dict[str, Any]) -> None:
        """Handles warnings, which are recorded by a historic hook."""
        if self._callback is not None:
            self._callback(kwargs)


class _HookRelay:
    """The hooks of an item, with some silenced."""

    def __init__(self, relay: Any, callbacks: dict[str, Callable[[Any], None]]) -> None:
        self._relay, self._callbacks = relay, callbacks

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._relay, name)
        if name in _SILENCED_HOOKS:
            found = _SilencedHook(self._callbacks.get(name))
        setattr(self, name, found)  # looked up in each phase of each rehearsal
        return found


def chain_callbacks(first: Callable[[Any], None], second: Callable[[Any], None]) -> Callable[[Any], None]:
    """A callback that calls both."""

    def call_both(report: Any) -> None:
        first(report)
        second(report)

    return call_both


@contextmanager
def silence(
    item: pytest.Item, on_report: Callable[[Any], None], on_warning: Callable[[Any], None]
) -> Iterator[None]:
    """Keeps everything that happens to *item* in the block from being seen by others.

    Args:
        item: The test.
        on_report: Called with reports that would have been sent: subtests send their own.
        on_warning: Called with the arguments of the hook for each warning.
    """
    session: Any = item.session
    ways = session.gethookproxy
    with ExitStack() as stack:
        stack.callback(session.__dict__.pop, "gethookproxy", None)
        heard = {"pytest_runtest_logreport": on_report, "pytest_warning_recorded": on_warning}
        relay = _HookRelay(ways(item.path), heard)
        session.gethookproxy = lambda path: relay
        stack.enter_context(_mute_options(item.config))
        stack.enter_context(_mute_logging(item.config))
        stack.enter_context(mute_output(item.config))
        stack.enter_context(_restore_item_state(item))
        stack.enter_context(_restore_subtest_counts(item))
        stack.enter_context(_restore_suite_properties(item.config))
        stack.enter_context(_unregister_plugin(item.config, "pdbtrace"))
        yield


@contextmanager
def _mute_options(config: pytest.Config) -> Iterator[None]:
    options = vars(config.option)
    before = {name: options[name] for name in _MUTED_OPTIONS if options.get(name)}
    options.update({name: _MUTED_OPTIONS[name] for name in before})
    try:
        yield
    finally:
        options.update(before)


@contextmanager
def _mute_logging(config: pytest.Config) -> Iterator[None]:
    """Mutes live logging and the log file, which write past all reports."""
    plugin: Any = config.pluginmanager.get_plugin("logging-plugin")
    names = ("log_cli_handler", "log_file_handler")
    handlers = [h for h in (getattr(plugin, name, None) for name in names) if h is not None]
    for handler in handlers:
        handler.addFilter(_reject_record)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(_reject_record)


def _reject_record(record: logging.LogRecord) -> bool:
    return False


@contextmanager
def _restore_item_state(item: pytest.Item) -> Iterator[None]:
    """Restores markers, properties and captured sections that the test adds while it runs."""
    marks, properties = list(item.own_markers), list(item.user_properties)
    sections: list[Any] = getattr(item, "_report_sections", [])
    kept = list(sections)
    try:
        yield
    finally:
        item.own_markers[:] = marks
        item.user_properties[:] = properties
        sections[:] = kept


@contextmanager
def _restore_subtest_counts(item: pytest.Item) -> Iterator[None]:
    """Restores pytest's counts of failed subtests, which add up over all runs."""
    counts = get_failed_subtest_counts(item)
    before = dict(counts)
    try:
        yield
    finally:
        counts.clear()
        counts.update(before)


@contextmanager
def _restore_suite_properties(config: pytest.Config) -> Iterator[None]:
    """Restores what ``record_testsuite_property`` wrote."""
    properties = get_suite_properties(config)
    before = list(properties)
    try:
        yield
    finally:
        properties[:] = before


@contextmanager
def _unregister_plugin(config: pytest.Config, name: str) -> Iterator[None]:
    """Unregisters a plugin that stops in the test: the debugger of ``--trace``."""
    plugin = config.pluginmanager.get_plugin(name)
    if plugin is None:
        yield
        return
    config.pluginmanager.unregister(plugin)
    try:
        yield
    finally:
        config.pluginmanager.register(plugin, name)
