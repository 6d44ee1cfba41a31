"""The commands of ``pytest-repro``, one file each: a file defines one object, ``command``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable
from typing import NamedTuple

Result = tuple[int, Iterable[str]]
"""The exit code of a command and the lines that it prints."""


class BadOption(ValueError):
    """Options that cannot be used together."""


class Command(NamedTuple):
    """A command of ``pytest-repro``.

    Attributes:
        run: Runs it. May raise :class:`BadOption`, ``BadReport`` or ``BadArgument``.
    """

    brief: str  # what it does, in the list of commands
    description: str  # the same in full, for its own help
    examples: str  # example lines, after the description of its options
    add_arguments: Callable[[ArgumentParser], object]  # adds its options to its parser
    run: Callable[[Namespace], Result]
