"""What a run leaves behind is seen, by name, place and kind; and looking changes nothing."""

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

from pytest_repro.core.diagnose.finding import Change, StateRoot
from pytest_repro.engine.experiments import process_state
from pytest_repro.engine.experiments.process_state import capture_state
from pytest_repro.engine.experiments.state_diff import diff_states, find_definition

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
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A module of the user's, in a folder from which the test is started."""
    (tmp_path / "watched_module.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    # Of this process, in which other tests' modules change as well, nothing else is looked at.
    monkeypatch.setattr(process_state, "is_user_module", lambda it: it.__name__ == "watched_module")
    yield importlib.import_module("watched_module")
    del sys.modules["watched_module"]


def left(run: Callable[[], object], **roots: StateRoot) -> list[Change]:
    """What *run* leaves behind."""
    before = capture_state(roots)
    run()
    return list(diff_states(before, capture_state(roots), roots))


def setting(target: Any, name: str, value: object) -> Callable[[], object]:
    return lambda: setattr(target, name, value)


LEFT: list[tuple[Callable[[Any], object], str, str, int]] = [
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


@pytest.mark.parametrize(("run", "name", "how", "line"), LEFT, ids=[row[1] for row in LEFT])
def test_what_a_module_keeps(
    module: Any, run: Callable[[Any], object], name: str, how: str, line: int
) -> None:
    (found,) = left(lambda: run(module))
    assert found == Change(f"watched_module.{name}", how, f"{module.__file__}:{line}")


def test_nothing_is_said_when_nothing_changed_and_looking_moves_nothing(module: Any) -> None:
    assert left(lambda: None) == []
    assert next(module.NUMBERS) == 0
    assert module.squared.cache_info().currsize == 0


def test_fixtures_and_parameters_have_the_place_they_were_given(module: Any) -> None:
    root = StateRoot({"w": np.zeros(2)}, "/conftest.py:3")
    name = "fixture model"
    before = capture_state({name: root})
    root.value["w"][0] = 1  # type: ignore[index]
    found = list(diff_states(before, capture_state({name: root}), {name: root}))
    assert found == [Change("fixture model['w']", "has different values", "/conftest.py:3")]


def test_files_and_variables_of_the_process(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = left(lambda: Path("out.txt").write_text("1"))
    assert [(each.name, each.description, each.location) for each in found] == [
        ("file out.txt", "is new", "")
    ]
    (change,) = left(lambda: monkeypatch.setenv("WATCHED", "1"))
    assert (change.name, change.description) == ("os.environ['WATCHED']", "is new")


def test_what_grew_comes_before_other_values(module: Any) -> None:
    def run() -> None:
        module.TOTAL = 1
        module.CACHE["a"] = 1

    assert [each.name for each in left(run)] == ["watched_module.CACHE", "watched_module.TOTAL"]


class Hostile:
    """Raises whatever is asked of it."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("leave me alone")


def test_hostile_and_circular_values_are_passed_over(module: Any) -> None:
    circle: list[Any] = []
    circle.append(circle)
    endless = itertools.count()
    module.CACHE.update(a=Hostile(), b=circle, c=endless, d=collections.defaultdict(Hostile))
    assert left(lambda: setattr(module, "TOTAL", 1)) == [
        Change("watched_module.TOTAL", "changed from 0 to 1", f"{module.__file__}:5")
    ]


def test_a_name_that_no_module_has_is_nowhere() -> None:
    assert find_definition("nothing.of.that.kind") == ""
    assert find_definition("watch") == ""
