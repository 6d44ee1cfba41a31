"""What a run has left behind is put back by name, and the rest left as it is."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pytest_repro.core.diagnose.finding import StateRoot
from pytest_repro.engine.experiments.state_restore import StateRestorer


class Thing:
    """Holds what a library's object may hold."""

    def __init__(self) -> None:
        self.count, self.rows = 0, [[1], [2]]
        self.array, self.names = np.zeros(2), {"a": {1}}
        self.draws = np.random.default_rng(0)
        self.random = random.Random(0)


def change(thing: Any) -> None:
    thing.count += 1
    thing.rows[0].append(3)
    thing.array += 1
    thing.names["a"].add(2)
    thing.draws.normal()
    thing.random.random()


PARTS: dict[str, Callable[[Any], object]] = {
    "count": lambda thing: thing.count,
    "rows": lambda thing: str(thing.rows),
    "array": lambda thing: thing.array.tolist(),
    "names": lambda thing: str(thing.names),
    "draws": lambda thing: str(thing.draws.bit_generator.state),
    "random": lambda thing: thing.random.getstate(),
}
"""What is seen of a part of a thing."""


def seen(thing: Thing) -> dict[str, object]:
    return {name: look(thing) for name, look in PARTS.items()}


@pytest.mark.parametrize("name", [*PARTS, ""])
def test_what_has_that_name_is_put_back_and_nothing_else(name: str) -> None:
    thing = Thing()
    before = seen(thing)
    whole = f"fixture thing.{name}".rstrip(".")
    keeping = StateRestorer([whole])
    keeping.visit_roots({"fixture thing": StateRoot(thing, "")})
    change(thing)
    changed = seen(thing)
    assert all(before[each] != changed[each] for each in PARTS)
    keeping.restore()
    assert seen(thing) == {each: (before if name in ("", each) else changed)[each] for each in PARTS}
    assert keeping.list_restored_names() == (whole,)


def test_what_refuses_is_not_said_to_be_restored() -> None:
    class Refusing(dict[str, int]):
        """Cannot be filled again."""

        def clear(self) -> None:
            raise RuntimeError("leave me alone")

    keeping = StateRestorer(["fixture thing", "fixture other"])
    keeping.visit_roots({"fixture thing": StateRoot(Refusing(a=1), "")})
    keeping.restore()
    assert keeping.list_restored_names() == ()
