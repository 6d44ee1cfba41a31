"""Changes are restored by name, and nothing else is."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pytest_repro.core.diagnose.finding import StateRoot
from pytest_repro.engine.experiments.process_state import StateRestorer


class Thing:
    """With attributes of all kinds."""

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


def read(thing: Thing) -> dict[str, object]:
    return {name: get(thing) for name, get in PARTS.items()}


@pytest.mark.parametrize("name", [*PARTS, ""])
def test_restores_only_that_name(name: str) -> None:
    thing = Thing()
    before = read(thing)
    target = f"fixture thing.{name}".rstrip(".")
    restorer = StateRestorer([target])
    restorer.visit_roots({"fixture thing": StateRoot(thing, "")})
    change(thing)
    changed = read(thing)
    assert all(before[part] != changed[part] for part in PARTS)
    restorer.restore()
    assert read(thing) == {part: (before if name in ("", part) else changed)[part] for part in PARTS}
    assert restorer.list_restored_names() == (target,)


def test_object_that_cannot_be_restored() -> None:
    class Refusing(dict[str, int]):
        """Cannot be cleared."""

        def clear(self) -> None:
            raise RuntimeError("leave me alone")

    restorer = StateRestorer(["fixture thing", "fixture other"])
    restorer.visit_roots({"fixture thing": StateRoot(Refusing(a=1), "")})
    restorer.restore()
    assert restorer.list_restored_names() == ()
