"""Changes that a run leaves behind are found by name, location and kind, and restored by name."""

from __future__ import annotations

import collections
import importlib
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_repro.core.diagnose import Change, StateRoot
from pytest_repro.engine.experiments.state import process_state
from pytest_repro.engine.experiments.state.process_state import capture_state
from pytest_repro.engine.experiments.state.state_diff import diff_states, find_definition

SOURCE = """\
import collections, functools, itertools
import numpy as np

CACHE = {}
TOTAL = 0
WEIGHTS = np.ones(3)
QUEUE = collections.deque()
NUMBERS = itertools.count()
NESTED = {"a": {"b": [1, 2]}}
SEEN = set()

@functools.lru_cache
def squared(n): return n * n

def collect(item, into=[]): into.append(item)

class Model:
    made = 0
    def __init__(self): self.state = {"step": 0}

    def add(self, item, into=[]): into.append(item)

MODEL = Model()

def setup_module(module): module.MADE = 1
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A module of the user's, in the working directory."""
    (tmp_path / "watched_module.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    # Modules of other tests change as well.
    monkeypatch.setattr(process_state, "is_user_module", lambda module: module.__name__ == "watched_module")
    yield importlib.import_module("watched_module")
    del sys.modules["watched_module"]


def find_changes(run: Callable[[], object], **roots: StateRoot) -> list[Change]:
    before = capture_state(roots)
    run()
    return list(diff_states(before, capture_state(roots), roots))


CHANGES: list[tuple[Callable[[Any], object], str, str, int]] = [
    (lambda m: m.CACHE.update(a=1), "CACHE", "grew from 0 to 1 items", 4),
    (lambda m: setattr(m, "TOTAL", 7), "TOTAL", "changed from 0 to 7", 5),
    (lambda m: m.WEIGHTS.__imul__(2), "WEIGHTS", "has different values", 6),
    (lambda m: m.QUEUE.append(1), "QUEUE", "grew from 0 to 1 items", 7),
    (lambda m: next(m.NUMBERS), "NUMBERS", "changed from count(0) to count(1)", 8),
    (lambda m: m.NESTED["a"]["b"].pop(), "NESTED['a']['b']", "shrank from 2 to 1 items", 9),
    (lambda m: m.SEEN.add("x"), "SEEN", "grew from 0 to 1 items", 10),
    (lambda m: m.squared(3), "squared", "grew from 0 to 1 results", 13),
    (lambda m: m.collect(1), "collect(default 1)", "grew from 0 to 1 items", 15),
    (lambda m: setattr(m.Model, "made", 1), "Model.made", "changed from 0 to 1", 18),
    (lambda m: m.MODEL.add(1), "Model.add(default 1)", "grew from 0 to 1 items", 21),
    (lambda m: m.MODEL.state.update(step=1), "MODEL.state['step']", "changed from 0 to 1", 23),
]


@pytest.mark.parametrize(("run", "name", "description", "line"), CHANGES, ids=[row[1] for row in CHANGES])
def test_changes_in_a_module(
    module: Any, run: Callable[[Any], object], name: str, description: str, line: int
) -> None:
    (change,) = find_changes(lambda: run(module))
    assert change == Change(f"watched_module.{name}", description, f"{module.__file__}:{line}")


def test_no_change(module: Any) -> None:
    assert find_changes(lambda: None) == []
    assert next(module.NUMBERS) == 0
    assert module.squared.cache_info().currsize == 0


def test_fixtures_and_parameters(module: Any) -> None:
    root = StateRoot({"w": np.zeros(2)}, "/conftest.py:3")
    name = "fixture model"
    before = capture_state({name: root})
    root.value["w"][0] = 1  # type: ignore[index]
    changes = list(diff_states(before, capture_state({name: root}), {name: root}))
    assert changes == [Change("fixture model['w']", "has different values", "/conftest.py:3")]


def test_environment_variables(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (change,) = find_changes(lambda: monkeypatch.setenv("WATCHED", "1"))
    assert (change.name, change.description) == ("os.environ['WATCHED']", "is new")


def test_growth_comes_before_other_changes(module: Any) -> None:
    def run() -> None:
        module.TOTAL = 1
        module.CACHE["a"] = 1

    assert [change.name for change in find_changes(run)] == ["watched_module.CACHE", "watched_module.TOTAL"]


class Hostile:
    """Raises on any attribute access."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("leave me alone")


def test_hostile_and_circular_values_are_skipped(module: Any) -> None:
    circle: list[Any] = []
    circle.append(circle)
    endless = itertools.count()
    module.CACHE.update(a=Hostile(), b=circle, c=endless, d=collections.defaultdict(Hostile))
    assert find_changes(lambda: setattr(module, "TOTAL", 1)) == [
        Change("watched_module.TOTAL", "changed from 0 to 1", f"{module.__file__}:5")
    ]


def test_definition_in_a_setup_or_elsewhere(module: Any) -> None:
    assert find_definition("watched_module.MADE") == f"{module.__file__}:25"
    assert find_definition("watched_module.MADE_BY_A_CONFTEST") == ""


def test_definition_of_an_unknown_name() -> None:
    assert find_definition("nothing.of.that.kind") == ""
    assert find_definition("watch") == ""


class AnswersAll:
    """As ``flax.nnx.Rngs``, it draws when it is asked for an attribute that it does not have."""

    def __init__(self) -> None:
        self.drawn = 0

    def __getattr__(self, name: str) -> Any:
        self.drawn += 1
        return lambda: self.drawn


def test_an_object_that_has_every_attribute_is_read_as_it_is(module: Any) -> None:
    module.MODEL = AnswersAll()
    assert find_changes(lambda: None) == []
    (change,) = find_changes(lambda: module.MODEL.draw())
    assert (change.name, change.description) == ("watched_module.MODEL.drawn", "changed from 0 to 1")
