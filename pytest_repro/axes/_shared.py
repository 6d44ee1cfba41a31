"""What several axes share: interpreters as values, checks of arguments, settings of a block, generators."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from pytest_repro.axes import Axis
from pytest_repro.core.plan.arguments import BadArgument


class InterpreterAxis(Axis):
    """An axis whose values are interpreters: several are compared with this process, one has all runs."""

    remote = True
    here: ClassVar[str]

    def resolve_interpreters(self, values: tuple[object, ...]) -> tuple[object, ...]:
        """*values* without duplicates; this process is the reference of several."""
        distinct = tuple(dict.fromkeys(values))
        return distinct if len(distinct) == 1 else tuple(dict.fromkeys([self.here, *distinct]))

    def format_option(self, values: tuple[object, ...]) -> str:
        # Two values are this process and another one, which alone would have all runs.
        return f"{self.name}={','.join(map(str, values[1:] if len(values) > 2 else values))}"


def require_distinct(
    name: str, values: Sequence[object], key: Callable[[Any], object] = lambda value: value
) -> tuple[object, ...]:
    """*values* as a tuple, if there are any and no two have the same *key*.

    Raises:
        BadArgument: There are none, or two are the same.
    """
    values = tuple(values)
    if not values:
        raise BadArgument(name, values, "one value for all runs, or several, the reference first")
    if len(set(map(key, values))) < len(values):
        raise BadArgument(name, values, "each value once")
    return values


@contextmanager
def set_for_block(set_value: Callable[[Any], object], value: object, before: object) -> Iterator[None]:
    """Has *set_value* set *value* for a block, then *before*."""
    set_value(value)
    try:
        yield
    finally:
        set_value(before)


def read_torch_generators(include_cpu: bool = True) -> object:
    """The states of torch's generators; None before torch is imported."""
    if "torch" not in sys.modules:
        return None
    from pytest_repro.adapters.torch import read_states

    return read_states(include_cpu)
