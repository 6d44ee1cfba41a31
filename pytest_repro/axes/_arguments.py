"""What several axes share: checks of their arguments, and the states of torch's generators."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from pytest_repro.core.plan.arguments import BadArgument


def get_torch_generator_states(include_cpu: bool = True) -> object:
    """The states of torch's generators; None before torch is imported."""
    if "torch" not in sys.modules:
        return None
    from pytest_repro.adapters.torch import read_states

    return read_states(include_cpu)


def require_distinct(
    name: str, values: Sequence[object], key: Callable[[Any], object] = lambda value: value
) -> tuple[object, ...]:
    """*values* as a tuple, if there are at least two and no two have the same *key*.

    Raises:
        BadArgument: There are too few, or two are the same.
    """
    if len(values) < 2:
        raise BadArgument(name, tuple(values), "at least 2 values, the reference first")
    if len(set(map(key, values))) < len(values):
        raise BadArgument(name, tuple(values), "each value once")
    return tuple(values)
