"""The warnings of all runs of a test, and which of them pytest shows."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator
from typing import Any
from warnings import WarningMessage

import pytest

from pytest_repro.core.plan.plan import REPEAT
from pytest_repro.core.runs.run import RecordedWarning, RunSpec
from pytest_repro.reports.failure.runs import format_in_run

_Place = tuple[type[Warning], str, int]


def warn_at_item(item: pytest.Item, category: type[Warning], text: str) -> None:
    """Warns at the line of *item*.

    Raises:
        pytest.fail.Exception: Such warnings are errors.
    """
    path, line, _ = item.reportinfo()
    try:
        warnings.warn_explicit(text, category, str(path), (line or 0) + 1)
    except category as error:  # raised from here, it would show pytest's frames only
        raise pytest.fail.Exception(f"{category.__name__}: {error}", pytrace=False) from None


class ItemWarnings:
    """The warnings of all runs of an item; pytest shows those that it would show without the plugin.

    Those are the warnings of the first run: a later one meets caches, warns of what the first one left, or
    has another time in a text. Fixtures wider than the test end in the last run, so what follows the test's
    own tear-down counts. A run with another setting adds warnings from places that did not warn before.
    """

    def __init__(self) -> None:
        self._run_count, self._where = 0, ""
        self._first: list[dict[str, Any]] = []
        self._last: list[dict[str, Any]] = []
        self._others: list[dict[str, Any]] = []
        self._log: list[object] | None = None
        self._test_end: int | None = None

    def start_run(self, spec: RunSpec) -> None:
        """Begins a run."""
        self._run_count += spec.compared
        self._where = "" if spec.cell.axis == REPEAT else format_in_run(spec.cell)

    def note_setup(self) -> None:
        """Notes where the run's warnings go: to a list of pytest, unless ``-p no:warnings``."""
        log = getattr(getattr(warnings, "_showwarnmsg_impl", None), "__self__", None)
        self._log, self._test_end = log if isinstance(log, list) else None, None

    def note_test_end(self) -> None:
        """Notes that wider fixtures now end; unknown if one of them catches warnings itself."""
        log = getattr(getattr(warnings, "_showwarnmsg_impl", None), "__self__", None)
        self._test_end = len(log) if log is self._log and isinstance(log, list) else None

    def add(self, kwargs: dict[str, Any]) -> None:
        """Adds a warning of a rehearsal, by the arguments of pytest's hook."""
        message = kwargs["warning_message"]
        if self._run_count == 1:
            self._first.append(kwargs)
        elif self._where:
            self.add_records([make_record(message)], kwargs["nodeid"], self._where)
        elif _may_come_late(message):
            self._others.append(kwargs)

    def add_last(self, kwargs: dict[str, Any]) -> None:
        """Adds a warning of the last run."""
        self._last.append(kwargs)

    def pop_records(self) -> tuple[RecordedWarning, ...]:
        """The warnings, once, to be shown by another interpreter."""
        return tuple(dict.fromkeys(make_record(kwargs["warning_message"]) for kwargs in self.pop()))

    def add_records(self, records: Iterable[RecordedWarning], nodeid: str, where: str = "") -> None:
        """Adds the warnings of a run in another interpreter.

        Args:
            records: From :meth:`pop_records`.
            nodeid: Of the test.
            where: ``"in process 1"``; ``""`` if the texts say it.
        """
        for each in records:
            kwargs = make_hook_arguments(each, nodeid, where)
            if where:
                self._others.append(kwargs)
            else:
                self.add(kwargs)

    def pop(self) -> Iterator[dict[str, Any]]:
        """The warnings that pytest shows, once."""
        first, self._first = self._first, []
        last, self._last = self._last, []
        places = {_get_place(kwargs) for kwargs in first}
        yield from first
        for number, kwargs in enumerate(last):
            if self._run_count < 2 or self._is_new(number, kwargs, first):
                places.add(_get_place(kwargs))
                yield kwargs
            else:
                self.add(kwargs)
        others, self._others = self._others, []
        yield from _select_new(others, places)

    def _is_new(self, number: int, kwargs: dict[str, Any], first: list[dict[str, Any]]) -> bool:
        """Whether the first run could not give a warning of the last one."""
        if self._test_end is not None:
            return number >= self._test_end
        text = str(kwargs["warning_message"].message)
        same = (each for each in first if _get_place(each) == _get_place(kwargs))
        return all(str(each["warning_message"].message) != text for each in same)


def _get_place(kwargs: dict[str, Any]) -> _Place:
    message = kwargs["warning_message"]
    return message.category, message.filename, message.lineno


def _select_new(found: list[dict[str, Any]], places: set[_Place]) -> Iterator[dict[str, Any]]:
    """Those from other places, each text once."""
    shown: dict[_Place, set[str]] = {}
    for kwargs in found:
        texts, text = shown.setdefault(_get_place(kwargs), set()), str(kwargs["warning_message"].message)
        if _get_place(kwargs) not in places and text not in texts:
            texts.add(text)
            yield kwargs


def _may_come_late(message: WarningMessage) -> bool:
    """Whether the garbage of one run may warn in another, or the warning is this package's own."""
    is_own = message.category.__module__.startswith("pytest_repro")
    is_late = issubclass(message.category, (ResourceWarning, pytest.PytestWarning))
    return is_own or is_late or "was never awaited" in str(message.message)


def make_hook_arguments(record: RecordedWarning, nodeid: str, where: str = "") -> dict[str, Any]:
    """The arguments of ``pytest_warning_recorded`` for a warning of another interpreter."""
    category, text = _resolve_category(record)
    described = f"{text} ({where})" if where else text
    message = WarningMessage(category(described), category, record.file, record.line)
    return {"warning_message": message, "when": "runtest", "nodeid": nodeid, "location": None}


def make_record(message: WarningMessage) -> RecordedWarning:
    """*message* as plain data."""
    kind = message.category
    return RecordedWarning(
        f"{kind.__module__}.{kind.__qualname__}", str(message.message), message.filename, message.lineno
    )


def _resolve_category(record: RecordedWarning) -> tuple[type[Warning], str]:
    """Class and text of a warning; the class's name goes into the text if it is not imported here."""
    module, _, name = record.category.rpartition(".")
    found = getattr(sys.modules.get(module), name, None)
    if isinstance(found, type) and issubclass(found, Warning):
        own = [kind for kind in found.__mro__ if kind.__module__ != "builtins"]
        if not any("__init__" in vars(kind) or "__new__" in vars(kind) for kind in own):
            return found, record.text
    return (
        UserWarning,
        f"{name}: {record.text}",
    )  # not imported here, or its constructor takes more than a text
