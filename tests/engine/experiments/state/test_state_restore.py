"""State is restored by name: what changed is changed back, what was added is removed."""

from __future__ import annotations

import functools
import itertools
import os
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.core.diagnose import StateRoot
from pytest_repro.engine.experiments.state import process_state
from pytest_repro.engine.experiments.state.process_state import StateFacts, StateVisitor, capture_state
from pytest_repro.engine.experiments.state.state_diff import diff_states
from pytest_repro.engine.experiments.state.state_restore import StateRestorer


class Thing:
    """With attributes of all kinds."""

    made = 0

    def __init__(self) -> None:
        self.count, self.rows = 0, [[1], [2]]
        self.array, self.names = np.zeros(2), {"a": {1}}
        self.draws = np.random.default_rng(0)
        self.random = random.Random(0)
        self.numbers, self.steps = itertools.count(), itertools.count(0.5, -2)


def change(thing: Any) -> None:
    thing.count += 1
    thing.rows[0].append(3)
    thing.array += 1
    thing.names["a"].add(2)
    thing.draws.normal()
    thing.random.random()
    next(thing.numbers)
    next(thing.steps)
    thing.extra = thing.extra + 1 if hasattr(thing, "extra") else 1


PARTS: dict[str, Callable[[Any], object]] = {
    "count": lambda thing: thing.count,
    "rows": lambda thing: str(thing.rows),
    "array": lambda thing: thing.array.tolist(),
    "names": lambda thing: str(thing.names),
    "draws": lambda thing: str(thing.draws.bit_generator.state),
    "random": lambda thing: thing.random.getstate(),
    "numbers": lambda thing: str(thing.numbers),
    "steps": lambda thing: str(thing.steps),
    "extra": lambda thing: getattr(thing, "extra", None),
}


def read(thing: Thing) -> dict[str, object]:
    return {name: get(thing) for name, get in PARTS.items()}


@pytest.mark.parametrize("name", [*PARTS, ""])
def test_restores_only_that_name(name: str) -> None:
    thing = Thing()
    before = read(thing)
    target = f"fixture thing.{name}".rstrip(".")
    restorer = StateRestorer([target])
    restorer.keep_roots({"fixture thing": StateRoot(thing, "")})
    for _ in range(2):  # it is restored before each run
        change(thing)
        changed = read(thing)
        restorer.restore()
        assert read(thing) == {part: (before if name in ("", part) else changed)[part] for part in PARTS}
    assert restorer.list_restored_names() == (target,)


def test_what_cannot_be_restored_is_not_claimed() -> None:
    class Refusing(dict[str, int]):
        """Cannot be cleared."""

        def clear(self) -> None:
            raise RuntimeError("leave me alone")

    things = Refusing(a=1), (number for number in range(9)), [1]
    roots = {f"fixture {name}": StateRoot(thing) for name, thing in zip("abc", things)}
    restorer = StateRestorer([*roots, "fixture other"])
    restorer.keep_roots(roots)
    things[0]["b"] = 2
    next(things[1])
    things[2].append(2)
    restorer.restore()
    assert restorer.list_restored_names() == ("fixture c",)


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A module of the user's."""
    made: Any = ModuleType("user_module")
    monkeypatch.setitem(sys.modules, "user_module", made)
    monkeypatch.setattr(process_state, "is_user_module", lambda module: module is made)
    made.CACHE, made.kept, Thing.__module__ = {"a": 1}, functools.lru_cache(str), "user_module"
    made.Thing, made.shared = Thing, Thing()
    yield made
    Thing.__module__ = __name__


def add(module: Any) -> None:
    module.CACHE["b"] = 2
    module.ADDED = [1]
    module.Thing.flag = True
    module.shared.later = {"x": 1}
    module.kept(1)
    os.environ["USER_MODULE"] = "1"


def test_additions_are_removed(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("USER_MODULE", raising=False)
    before = capture_state({})
    names = ["user_module.CACHE", "user_module.ADDED", "user_module.Thing.flag", "user_module.shared.later"]
    names += ["user_module.kept", "os.environ['USER_MODULE']"]
    restorer = StateRestorer(names)
    restorer.keep_modules()
    add(module)
    assert {each.name for each in diff_states(before, capture_state({}), {})} == set(names)
    restorer.restore()
    assert capture_state({}) == before
    assert restorer.list_restored_names() == tuple(names)


def test_cache_that_was_filled_before_is_not_cleared(module: Any) -> None:
    module.kept(0)
    restorer = StateRestorer(["user_module.kept"])
    restorer.keep_modules()
    module.kept(1)
    restorer.restore()
    assert module.kept.cache_info().currsize == 2
    assert restorer.list_restored_names() == ()


VALUES = st.recursive(
    st.integers() | st.text(max_size=3) | st.none() | st.builds(np.arange, st.integers(0, 3)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=6,
)


def visit(roots: Mapping[str, StateRoot]) -> StateFacts:
    visitor = StateVisitor()
    visitor.visit_roots(roots)
    return visitor.facts


@given(st.dictionaries(st.text(max_size=2), VALUES, max_size=4), st.data())
def test_round_trip(content: dict[str, Any], data: st.DataObject) -> None:
    """Whatever is replaced, emptied, added or removed at any depth is as before."""
    roots = {"fixture content": StateRoot(content)}
    before = visit(roots)
    restorer = StateRestorer(["fixture content"])
    restorer.keep_roots(roots)
    values: list[Any] = [content]
    for value in values:
        values += [*value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    for value in values:
        match data.draw(st.sampled_from(("leave", "clear", "add"))), value:
            case "clear", dict() | list():
                value.clear()
            case "add", dict():
                value.update(data.draw(st.dictionaries(st.text(max_size=2), VALUES, max_size=2)))
            case "add", list():
                value.append(data.draw(VALUES))
            case "add", np.ndarray():
                value += 1
    restorer.restore()
    assert visit(roots) == before
    assert restorer.list_restored_names() == ("fixture content",)


def test_torch_objects() -> None:
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    roots = {"fixture net": StateRoot(net), "fixture optimizer": StateRoot(optimizer)}
    before = capture_state(roots)
    restorer = StateRestorer([*roots])
    restorer.keep_roots(roots)
    net(torch.randn(4, 2)).sum().backward()
    optimizer.step()
    net.eval()
    net.register_buffer("seen", torch.ones(1))
    net[0].register_forward_hook(print)
    torch.nn.utils.parametrizations.weight_norm(net[0])
    changes = diff_states(before, capture_state(roots), roots)
    assert {each.owner for each in changes if each.kind} == set(roots)
    restorer.restore()
    assert capture_state(roots) == before
    assert restorer.list_restored_names() == tuple(roots)
    assert type(net[0]) is torch.nn.Linear
    assert net[0].weight.grad is None
