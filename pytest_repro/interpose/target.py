"""The functions whose calls are logged."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

Reach = Literal["line", "library", "all"]

Condition = Callable[..., bool]
"""Called with the arguments of a call; returns whether that call is evidence."""


@dataclass(frozen=True, slots=True)
class Target:
    """A function, and the cause for which its calls are evidence.

    Attributes:
        module: The module that defines it.
        path: Its name in that module: ``"time"``, ``"Random.__init__"``, ``"datetime.now"``.
        display_name: How reports call it: ``"time.time()"``.
        cause: The cause word.
        condition: Which calls count; None: all.
        reach: Whose calls count: those of the user's own ``"line"``, also those of an installed
            ``"library"``, or ``"all"``, with those of the standard library.
        function_names: For a hook that several C functions call: their names. The name in the calling
            code replaces ``{}`` in *display_name*. A name with ``()`` counts only without arguments.
    """

    module: ModuleType
    path: str
    display_name: str
    cause: str
    condition: Condition | None = None
    reach: Reach = "library"
    function_names: frozenset[str] = frozenset()

    @property
    def package(self) -> str:
        """The library that defines it. Its own calls do not count."""
        return self.module.__name__.partition(".")[0]

    @property
    def attribute(self) -> tuple[Any, str]:
        """The object that holds the function, and the name of its attribute."""
        *owner_names, name = self.path.split(".")
        owner: Any = self.module
        for owner_name in owner_names:
            owner = getattr(owner, owner_name)
        return owner, name

    @property
    def available(self) -> bool:
        """Whether the installed version of the library has it."""
        try:
            return hasattr(*self.attribute)
        except AttributeError:
            return False


def find_targets(
    spec: str,
    display_name: str,
    cause: str,
    condition: Condition | None,
    reach: Reach,
    function_names: frozenset[str],
) -> Iterator[Target]:
    """The target at *spec* (``"random:Random.__init__"``), if its library is imported and has it."""
    module_name, _, path = spec.partition(":")
    module = sys.modules.get(module_name)
    if isinstance(module, ModuleType):
        target = Target(module, path, display_name, cause, condition, reach, function_names)
        if target.available:
            yield target
