"""Suspended address order: numbers in place of addresses."""

from __future__ import annotations

import copy
import gc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.causes import get_cause

torch: Any = pytest.importorskip("torch")


class Thing:
    """Has neither order nor hash; may contain itself."""

    me: Any = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Thing:
        if id(self) in memo:
            found = memo[id(self)]
            assert isinstance(found, Thing)
            return found
        made = memo[id(self)] = Thing()
        made.me = copy.deepcopy(self.me, memo)
        return made


@pytest.fixture(autouse=True)
def numbered() -> Any:
    with get_cause("address-order").suspend(0):
        yield


def test_numbers_count_calls_and_are_stable() -> None:
    things = [Thing(), [], {}, 3.5, Thing]
    found = [id(each) for each in things]
    assert found == sorted(set(found))
    assert [id(each) for each in reversed(things)] == found[::-1]


@pytest.mark.parametrize("make", [Thing, list, lambda: {1: 2}, lambda: np.zeros(3), lambda: torch.zeros(3)])
def test_reused_address_gets_another_number(make: Any) -> None:
    found = set()
    for _ in range(50):
        found.add(id(make()))
        gc.collect(0)
    assert len(found) == 50


def test_library_lookups_by_id_work() -> None:
    thing = Thing()
    thing.me = [thing, {"again": thing}]
    made = copy.deepcopy(thing)
    assert made.me[0] is made is made.me[1]["again"]
    shared = copy.deepcopy([thing, thing])
    assert shared[0] is shared[1]


def test_default_hash_is_the_number() -> None:
    first, second = Thing(), Thing()
    assert (hash(first) < hash(second), hash(first) == hash(first)) == (True, True)
    assert {first: 1}[first] == 1


@given(st.integers() | st.text() | st.floats() | st.tuples(st.integers()) | st.binary())
def test_other_hashes_are_unchanged(value: Any) -> None:
    assert hash(value) == value.__hash__()


def test_optimisers_and_modules_work() -> None:
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    twin = torch.optim.SGD(copy.deepcopy(model).parameters(), 0.1)
    twin.load_state_dict(optimizer.state_dict())
    assert len(twin.state_dict()["param_groups"][0]["params"]) == 2


def test_libraries_do_not_shift_the_numbers_of_the_user() -> None:
    """As in a first run, in which a library fills a cache by id()."""
    library: dict[str, Any] = {"__name__": "json.cached"}
    exec(
        compile("def ask(things):\n return [id(each) for each in things]", "/x/site-packages/l.py", "exec"),
        library,
    )
    things = [Thing() for _ in range(4)]
    seen = library["ask"](things[:2])
    own = [id(each) for each in things]
    assert own[:2] == seen
    assert own[2:] == [16, 32]
