"""What is listened to: a function at its home."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

Reach = Literal["line", "library", "all"]

Condition = Callable[..., bool]
"""Called with the arguments of a call: whether that call is evidence."""


@dataclass(frozen=True, slots=True)
class Target:
    """A function, and for what a call of it is evidence.

    Attributes:
        module: Where it is at home.
        path: Its name there: ``"time"``, ``"Random.__init__"``, ``"datetime.now"``.
        display_name: How it is called when something is said of it: ``"time.time()"``.
        cause: The cause word.
        condition: Tells by the arguments whether a call counts; None: each one does.
        reach: Whose calls count: the user's own ``"line"``, those of an installed ``"library"`` as
            well, or of ``"all"``, with those that Python's library makes on its own account.
        function_names: For a hook that functions of C run into: names of these, by which the call is told
            from the code that made it; *display_name* then holds ``{}``. A name that ends in ``()`` counts
            only where it is called without arguments.
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
        """The library that it belongs to, whose own calls of it do not count."""
        return self.module.__name__.partition(".")[0]

    @property
    def attribute(self) -> tuple[Any, str]:
        """The object that holds it, and the name there."""
        *above, name = self.path.split(".")
        owner: Any = self.module
        for part in above:
            owner = getattr(owner, part)
        return owner, name

    @property
    def available(self) -> bool:
        """Whether this version of the library has it."""
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
    """The target at *spec* ("random:Random.__init__"), if its library is imported and has it."""
    module, _, path = spec.partition(":")
    home = sys.modules.get(module)
    if isinstance(home, ModuleType):
        target = Target(home, path, display_name, cause, condition, reach, function_names)
        if target.available:
            yield target
