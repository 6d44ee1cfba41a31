"""Keeps a rehearsal from being seen by others.

Hidden are reports, warnings, captured output, properties, and markers added while the test runs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import pytest

from pytest_repro.plugin.pytest_internals import get_suite_properties, set_failed_subtests
from pytest_repro.plugin.run.mute_output import mute_output

# Called by rehearsals, these would reach reporters, debuggers and warning summaries.
_SILENCED_HOOKS = (
    "pytest_runtest_logreport",
    "pytest_runtest_logstart",
    "pytest_runtest_logfinish",
    "pytest_exception_interact",
    "pytest_warning_recorded",
)


class SilencedHook:
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


_SILENT = dict.fromkeys(_SILENCED_HOOKS, SilencedHook())


class _HookRelay:
    """The hooks of an item, with some replaced."""

    def __init__(self, relay: Any, replaced: Mapping[str, Any]) -> None:
        # Hooks are looked up in each phase: those that the relay itself keeps are not asked for again.
        vars(self).update(vars(relay), **replaced)
        self._relay = relay

    def __getattr__(self, name: str) -> Any:
        return getattr(self._relay, name)


class ReplacedHooks:
    """A block in which *item* calls *hooks* in place of its own."""

    def __init__(self, item: pytest.Item, **hooks: Any) -> None:
        self._session: Any = item.session
        self.relay = _HookRelay(self._session.gethookproxy(item.path), hooks)

    def __enter__(self) -> None:
        # Asked for in each phase, so answered in C: its argument, a path, is the unused default.
        self._session.gethookproxy = partial(getattr, self, "relay")

    def __exit__(self, *error: object) -> None:
        del self._session.gethookproxy


@contextmanager
def silence(
    item: pytest.Item,
    on_report: Callable[[Any], None],
    on_warning: Callable[[Any], None],
    hooks: Mapping[str, Any],
) -> Iterator[None]:
    """Keeps everything that happens to *item* in the block from being seen by others.

    Args:
        item: The test.
        on_report: Called with reports that would have been sent: subtests send their own.
        on_warning: Called with the arguments of the hook for each warning.
        hooks: That the item has in place of its own.
    """
    config, restore = item.config, _save_state(item)
    replaced = {
        **_SILENT,
        **hooks,
        "pytest_runtest_logreport": SilencedHook(on_report),
        "pytest_warning_recorded": SilencedHook(on_warning),
    }
    # One generator for all of it: every test pays for this.
    handlers = _list_log_handlers(config)
    for handler in handlers:
        handler.addFilter(_reject_record)
    try:
        with ReplacedHooks(item, **replaced), mute_output(config), _unregister_debugger(config):
            yield
    finally:
        for handler in handlers:
            handler.removeFilter(_reject_record)
        restore()


def _list_log_handlers(config: pytest.Config) -> list[logging.Handler]:
    """Handlers of live logging and of the log file, which write past all reports."""
    plugin: Any = config.pluginmanager.get_plugin("logging-plugin")
    handlers = (getattr(plugin, name, None) for name in ("log_cli_handler", "log_file_handler"))
    return [handler for handler in handlers if handler is not None]


def _reject_record(record: logging.LogRecord) -> bool:
    return False


def _save_state(item: Any) -> Callable[[], None]:
    """Saves what a run adds to the item and the session, and mutes ``--setup-show``.

    The item collects properties and captured sections; pytest counts failed subtests by test, over all its
    runs; ``record_testsuite_property`` writes past all reports.
    """
    lists = (item.user_properties, item._report_sections, get_suite_properties(item.config))
    failed_subtests = set_failed_subtests(item, 0)
    saved = [each[:] for each in lists]
    options = item.config.option
    setupshow, options.setupshow = getattr(options, "setupshow", False), False

    def restore() -> None:
        for each, before in zip(lists, saved):
            each[:] = before
        set_failed_subtests(item, failed_subtests)
        options.setupshow = setupshow

    return restore


def _unregister_debugger(config: pytest.Config) -> AbstractContextManager[None]:
    """Unregisters the debugger of ``--trace``, which stops in each test."""
    plugin = config.pluginmanager.get_plugin("pdbtrace")
    return nullcontext() if plugin is None else _unregister(config, plugin)


@contextmanager
def _unregister(config: pytest.Config, plugin: object) -> Iterator[None]:
    config.pluginmanager.unregister(plugin)
    try:
        yield
    finally:
        config.pluginmanager.register(plugin, "pdbtrace")
