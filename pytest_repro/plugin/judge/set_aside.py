"""Sets a run aside whose body has ended, so that its item can run again in the middle of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from pytest_repro.plugin.pytest_internals import copy_as_next, teardown_for_next

_CURRENT_TEST = "PYTEST_CURRENT_TEST"


@contextmanager
def set_aside(item: Any) -> Iterator[list[BaseException]]:
    """Tears down what belongs to *item* alone, and restores the item after the block.

    pytest's own tear-down then finds nothing left of the function. What is printed and logged is captured as
    in a tear-down.

    Yields:
        What the tear-down raised.
    """
    errors: list[BaseException] = []
    with _captured(item):
        try:
            teardown_for_next(item.session, copy_as_next(item))
        except Exception as error:
            errors.append(error)
    attributes, lists = dict(vars(item)), [item.own_markers, item.user_properties, item._report_sections]
    stash, contents = dict(item.stash._storage), [list(each) for each in lists]
    hook_proxy, environ = vars(item.session).get("gethookproxy"), os.environ.get(_CURRENT_TEST)
    for phase in ("setup", "runtest", "teardown"):
        vars(item).pop(phase, None)  # of the run that is set aside
    if hasattr(item, "_request"):
        item._request, item.funcargs = False, None  # the next run makes new ones, as after a tear-down
    try:
        yield errors
    finally:
        vars(item).clear()
        vars(item).update(attributes)
        item.stash._storage.clear()
        item.stash._storage.update(stash)
        for each, content in zip(lists, contents):
            each[:] = content
        if hook_proxy is not None:
            item.session.gethookproxy = hook_proxy
        if environ is not None:
            os.environ[_CURRENT_TEST] = environ


@contextmanager
def _captured(item: Any) -> Iterator[None]:
    """Captures output and log records of the block, as pytest does in a tear-down."""
    plugins = item.config.pluginmanager
    capture, logs = plugins.get_plugin("capturemanager"), plugins.get_plugin("logging-plugin")
    with ExitStack() as stack:
        if logs is not None:
            logging = logs._runtest_for(item, "teardown")  # a generator before pytest 8.4
            stack.enter_context(
                logging if hasattr(logging, "__exit__") else contextmanager(lambda: logging)()
            )
        if capture is not None:
            stack.enter_context(capture.item_capture("teardown", item))
        yield
