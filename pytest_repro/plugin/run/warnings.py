"""Warnings that only a rehearsal gave: from a module fixture, or a library that warns once."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator
from typing import Any
from warnings import WarningMessage

import pytest

from pytest_repro.core.runs.run import RecordedWarning

_WarningKey = tuple[type[Warning], str, int]


def _get_warning_key(message: WarningMessage) -> _WarningKey:
    return message.category, message.filename, message.lineno


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


class RehearsalWarnings:
    """Keeps the warnings of rehearsals until the last run has shown which of them it repeats.

    All texts of one run are kept. A later run adds nothing to a location that has warned before: a text
    may hold a time or an address, which differs from run to run.
    """

    def __init__(self) -> None:
        self._pending: dict[_WarningKey, dict[str, dict[str, Any]]] = {}
        self._known_keys: set[_WarningKey] = set()

    def start_run(self) -> None:
        """Begins a run."""
        self._known_keys = set(self._pending)

    def add(self, kwargs: dict[str, Any]) -> None:
        """Keeps a warning, by the arguments of pytest's hook."""
        message = kwargs["warning_message"]
        if (place := _get_warning_key(message)) not in self._known_keys:
            self._pending.setdefault(place, {}).setdefault(str(message.message), kwargs)

    def pop_records(self) -> tuple[RecordedWarning, ...]:
        """The pending warnings, once, to be shown by another interpreter."""
        return tuple(_make_record(kwargs["warning_message"]) for kwargs in self.pop_pending())

    def add_records(self, records: Iterable[RecordedWarning], nodeid: str, where: str = "") -> None:
        """Keeps the warnings of a run in another interpreter.

        Args:
            records: From :meth:`pop_records`.
            nodeid: Of the test.
            where: ``"in process 1"``; ``""`` if the texts say it.
        """
        self.start_run()
        for each in records:
            category, text = _resolve_category(each)
            described = f"{text} ({where})" if where else text
            message = WarningMessage(category(described), category, each.file, each.line)
            self.add({"warning_message": message, "when": "runtest", "nodeid": nodeid, "location": None})

    def discard(self, message: WarningMessage) -> None:
        """Drops a warning that the last run gave too."""
        self._pending.pop(_get_warning_key(message), None)

    def pop_pending(self) -> Iterator[dict[str, Any]]:
        """The pending warnings, once."""
        while self._pending:
            yield from self._pending.pop(next(iter(self._pending))).values()


def _make_record(message: WarningMessage) -> RecordedWarning:
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
