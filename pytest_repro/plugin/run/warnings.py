"""Warnings that only a rehearsal gave: of a module fixture, or of a library that warns once."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator
from typing import Any
from warnings import WarningMessage

import pytest

from pytest_repro.core.runs.run import Warned

_Place = tuple[type[Warning], str, int]


def _place(message: WarningMessage) -> _Place:
    return message.category, message.filename, message.lineno


def warn_at(item: pytest.Item, category: type[Warning], text: str) -> None:
    """Warns at the line of *item*.

    Raises:
        pytest.fail.Exception: Such warnings are errors.
    """
    path, line, _ = item.reportinfo()
    try:
        warnings.warn_explicit(text, category, str(path), (line or 0) + 1)
    except category as error:  # from here it would show pytest's frames alone
        raise pytest.fail.Exception(f"{category.__name__}: {error}", pytrace=False) from None


class Warnings:
    """Keeps the warnings of rehearsals until it is known which of them the last run gave too.

    Of one run every text is kept. A later one adds nothing to a place that has given one: a text may
    hold a time or an address, and then differs from run to run.
    """

    def __init__(self) -> None:
        self._kept: dict[_Place, dict[str, dict[str, Any]]] = {}
        self._known: set[_Place] = set()

    def begin(self) -> None:
        """A run begins."""
        self._known = set(self._kept)

    def keep(self, kwargs: dict[str, Any]) -> None:
        """Keeps what would have been told of a warning: the arguments of pytest's hook."""
        message = kwargs["warning_message"]
        if (place := _place(message)) not in self._known:
            self._kept.setdefault(place, {}).setdefault(str(message.message), kwargs)

    def given(self) -> tuple[Warned, ...]:
        """What is still to be told, to be told by another interpreter."""
        return tuple(_warned(kwargs["warning_message"]) for kwargs in self.unheard())

    def keep_given(self, given: Iterable[Warned], nodeid: str, where: str = "") -> None:
        """Keeps what :meth:`given` gave in a run elsewhere.

        Args:
            given: The warnings.
            nodeid: Of the test.
            where: ``"in process 1"``; ``""`` where their texts say it.
        """
        self.begin()
        for each in given:
            category, text = _category(each)
            told = f"{text} ({where})" if where else text
            message = WarningMessage(category(told), category, each.file, each.line)
            self.keep({"warning_message": message, "when": "runtest", "nodeid": nodeid, "location": None})

    def told(self, message: WarningMessage) -> None:
        """Takes note that the last run gave *message*."""
        self._kept.pop(_place(message), None)

    def unheard(self) -> Iterator[dict[str, Any]]:
        """What is still to be told, once."""
        while self._kept:
            yield from self._kept.pop(next(iter(self._kept))).values()


def _warned(message: WarningMessage) -> Warned:
    kind = message.category
    return Warned(
        f"{kind.__module__}.{kind.__qualname__}", str(message.message), message.filename, message.lineno
    )


def _category(given: Warned) -> tuple[type[Warning], str]:
    """The class of a warning, and its text; one that is not imported here is told by its name."""
    module, _, name = given.category.rpartition(".")
    found = getattr(sys.modules.get(module), name, None)
    if isinstance(found, type) and issubclass(found, Warning):
        own = [kind for kind in found.__mro__ if kind.__module__ != "builtins"]
        if not any("__init__" in vars(kind) or "__new__" in vars(kind) for kind in own):
            return found, given.text
    return UserWarning, f"{name}: {given.text}"  # not imported here, or it wants more than a text
