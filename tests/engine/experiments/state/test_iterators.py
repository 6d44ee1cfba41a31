"""Iterators of all kinds: their positions are seen without moving them, and restored wherever they are."""

from __future__ import annotations

import collections
import itertools
import sys
from collections.abc import Callable, Generator, Iterator
from types import ModuleType
from typing import Any

import pytest

from pytest_repro.engine.experiments.state import process_state
from pytest_repro.engine.experiments.state.iterators import can_rewind, describe_position
from pytest_repro.engine.experiments.state.process_state import capture_state
from pytest_repro.engine.experiments.state.state_diff import diff_states
from pytest_repro.engine.experiments.state.state_restore import StateRestorer


def decay(rate: float) -> Iterator[float]:
    while True:
        yield rate
        rate *= 0.5


def delegate() -> Iterator[int]:
    yield from [1, 2, 3, 4, 5]


MAKE: dict[str, Callable[[], Iterator[Any]]] = {
    "count": lambda: itertools.count(2, 3),
    "cycle": lambda: itertools.cycle("abc"),
    "chain": lambda: itertools.chain(range(1), [7, 8, 9, 10]),
    "islice": lambda: itertools.islice(iter(range(99)), 2, None, 3),
    "product": lambda: itertools.product("ab", repeat=3),
    "accumulate": lambda: itertools.accumulate([1, 2, 3, 4, 5]),
    "zip": lambda: zip([1, 2, 3, 4, 5], "abcde"),
    "map": lambda: map(abs, range(9)),
    "enumerate": lambda: enumerate("abcde"),
    "list": lambda: iter([1, 2, 3, 4, 5]),
    "deque": lambda: iter(collections.deque(range(9))),
    "generator": lambda: decay(0.1),
    "yield from": delegate,
}


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of the user's, and another that has imported its iterator."""
    modules: list[Any] = [ModuleType("user_module"), ModuleType("user_other")]
    for each in modules:
        monkeypatch.setitem(sys.modules, each.__name__, each)
    monkeypatch.setattr(process_state, "is_user_module", lambda module: module in modules)
    return modules


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_an_iterator_that_outlives_a_run(module: Any, make: Callable[[], Iterator[Any]]) -> None:
    first, other = module
    first.ITEMS = other.ITEMS = make()
    before = capture_state({})
    restorer = StateRestorer(["user_module.ITEMS"])
    restorer.keep_modules()
    assert capture_state({}) == before
    for _ in range(3):  # each run takes one item by each name
        assert [next(first.ITEMS), next(other.ITEMS)] == [*itertools.islice(make(), 2)]
        restorer.restore()
    assert restorer.list_restored_names() == ("user_module.ITEMS",)


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_a_move_is_seen(module: Any, make: Callable[[], Iterator[Any]]) -> None:
    first, _ = module
    first.ITEMS = items = make()
    before = capture_state({})
    assert describe_position(items) == describe_position(items)
    next(items)
    (change,) = diff_states(before, capture_state({}), {})
    assert change.name == "user_module.ITEMS"
    assert next(items) == [*itertools.islice(make(), 2)][1]


def test_words_for_a_move(module: Any) -> None:
    module[0].A, module[0].B, module[0].C = decay(1.0), itertools.count(), iter([1, 2])
    before = capture_state({})
    next(module[0].A), next(module[0].B), next(module[0].C)
    changes = diff_states(before, capture_state({}), {})
    assert [each.description for each in changes] == [
        "has moved on", "changed from count(0) to count(1)", "changed from 2 to 1"
    ]  # fmt: skip


def average() -> Generator[float, float, None]:
    total = 0.0
    while True:
        total += yield total


def test_a_generator_that_is_sent_values_is_not_replaced() -> None:
    assert [can_rewind(each) for each in (decay(1.0), delegate(), average())] == [True, True, False]
