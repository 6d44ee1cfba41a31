"""Warnings that only a rehearsal gave: of a module fixture, or of a library that warns once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from warnings import WarningMessage

_Place = tuple[type[Warning], str, int]


def _place(message: WarningMessage) -> _Place:
    # Without the text, which may hold a time or an address, and then differs from run to run.
    return message.category, message.filename, message.lineno


class Warnings:
    """Keeps the warnings of rehearsals until it is known which of them the last run gave too."""

    def __init__(self) -> None:
        self._kept: dict[_Place, dict[str, Any]] = {}

    def keep(self, kwargs: dict[str, Any]) -> None:
        """Keeps what would have been told of a warning: the arguments of pytest's hook."""
        self._kept.setdefault(_place(kwargs["warning_message"]), kwargs)

    def told(self, message: WarningMessage) -> None:
        """Takes note that the last run gave *message*."""
        self._kept.pop(_place(message), None)

    def unheard(self) -> Iterator[dict[str, Any]]:
        """What is still to be told, once."""
        while self._kept:
            yield self._kept.pop(next(iter(self._kept)))
