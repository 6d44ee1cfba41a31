from __future__ import annotations

import enum
import re
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, Mock

import numpy as np
import pytest

from pytest_repro.adapters import digest, flatten
from pytest_repro.core.runs.pytree import (
    DURATION,
    LocalsBudget,
    is_duration,
    iter_leaves,
    iter_numeric_leaves,
)

torch = pytest.importorskip("torch")


class Mode(enum.IntEnum):
    FAST = 1


class Part(enum.Flag):
    A = 1
    B = 2
    C = 4


Point = namedtuple("Point", ["x", "y"])
Move = namedtuple("Move", ["x", "y"])


@dataclass
class Config:
    lr: float = 0.1
    names: list[str] = field(default_factory=lambda: ["a"])
    later: int = field(init=False)


class Broken:
    @property
    def weight(self) -> Any:
        raise AssertionError("touched")


def paths(value: object) -> list[str]:
    return [f"model{path}" for path, *_ in iter_leaves(value, "model", flatten)]


def local_paths(value: object, budget: LocalsBudget | None = None) -> list[str]:
    return [path for path, *_ in iter_numeric_leaves(value, "x", flatten, budget or LocalsBudget())]


def test_paths_of_modules_and_optimisers() -> None:
    model = torch.nn.Module()
    model.head = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(1, 1, bias=False))
    model.register_buffer("seen", torch.zeros(()))
    assert paths(model) == ["model.head[1].weight", "model.seen"]
    optimiser = torch.optim.SGD(model.parameters(), lr=0.5)
    assert "model.param_groups[0]['lr']" in paths(optimiser)


def test_paths_of_containers() -> None:
    value = {"lr": 0.1, 3: Point(1, (2,)), Mode.FAST: Config(), (1, "a"): None}
    assert paths(value) == [
        "model[Mode.FAST].lr", "model[Mode.FAST].names[0]", "model[3].x", "model[3].y[0]",
        "model['lr']", "model[(1, 'a')]",
    ]  # fmt: skip


def test_order_of_insertion_is_no_value() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest({"x", "y", "z"}) == digest({"z", "y", "x"})
    assert digest([1, 2]) != digest([2, 1])


@pytest.mark.parametrize("empty", [[], {}, set(), ()])
def test_an_empty_container_is_a_value_of_its_own(empty: object) -> None:
    each: list[object] = [[], {}, set(), (), None, ""]
    others = [digest(other) for other in each if type(other) is not type(empty)]
    assert digest(empty) not in others


def test_equal_parts_in_another_container_are_another_value() -> None:
    pair = np.ones(2)
    each: list[object] = [
        [1, 2], (1, 2), deque([1, 2]), torch.Size([1, 2]), Point(1, 2), Move(1, 2), SimpleNamespace(x=1, y=2),
        {"x": 1}, OrderedDict(x=1), Counter(x=1), defaultdict(int, x=1), {1}, frozenset({1}), b"1",
        bytearray(b"1"), pair, [pair], (pair,), {(1, 2)}, {frozenset({1, 2})},
    ]  # fmt: skip
    assert len({digest(value) for value in each}) == len(each)


def test_each_container_begins_with_its_first_leaf() -> None:
    value: object = {"a": ["text", (np.ones(1), [])], "b": ()}
    every = [
        ("['a'][0]", (("", "dict"), ("['a']", "list"))),
        ("['a'][1][0]", (("['a'][1]", "tuple"),)),
        ("['a'][1][1]", ()),
        ("['b']", ()),
    ]
    assert [(path, begun) for path, _, begun in iter_leaves(value, "x", flatten)] == every
    local = [("['a'][1][0]", (("", "dict"), ("['a']", "list"), ("['a'][1]", "tuple")))]
    found = iter_numeric_leaves(value, "x", flatten, LocalsBudget())
    assert [(path, begun) for path, _, begun in found] == local


def test_enums_are_told_apart_by_class_and_member() -> None:
    assert len({digest(x) for x in (Part.A, Part.B, Part.A | Part.B, Part.A | Part.C, Mode.FAST, 1)}) == 6
    assert digest({Mode.FAST: 0}) != digest({1: 0})


def _cycle() -> list[Any]:
    found: list[Any] = [1]
    found.append({"again": found})
    return found


def _deep() -> list[Any]:
    found: list[Any] = []
    for _ in range(101):
        found = [found]
    return found


def _half_made() -> Any:
    class Half(torch.nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            pass

    return Half()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"head": [1, object()]}, r"loss['head'][1] is an object, which cannot be recorded"),
        (_cycle(), "loss[1]['again'] cannot be recorded: it contains itself"),
        (_deep(), "cannot be recorded: it nests deeper than 100"),
        ({object(): 1}, "loss has a key of type object: only plain keys have a fixed order"),
        ({(1, object()): 1}, "loss has a key of type object: only plain keys have a fixed order"),
        ([{object()}], "loss[0] has a member that cannot be recorded: "),
        ([torch.ones(2, device="meta")], "loss[0] is a meta tensor"),
        (torch.nn.LazyLinear(2), "loss.weight is a lazy parameter without a shape"),
        (_half_made(), "loss is a module whose __init__ did not finish"),
        ([np.array([1, None])], "loss[0] is an array of Python objects (object)"),
        (Mock(), "loss is a unittest.mock.Mock, which cannot be recorded"),
        (torch.optim.lr_scheduler.ConstantLR, "loss is a type, which cannot be recorded"),
        (lambda: 0, "loss is a function, which cannot be recorded"),
    ],
)
def test_what_cannot_be_read_is_named_by_path_and_type(value: object, message: str) -> None:
    with pytest.raises(TypeError, match=re.escape(message)):
        list(iter_leaves(value, "loss", flatten))


def test_a_scheduler_is_told_to_record_its_state() -> None:
    optimiser = torch.optim.SGD([torch.ones(1)], lr=0.1)
    scheduler = torch.optim.lr_scheduler.ConstantLR(optimiser)
    with pytest.raises(TypeError, match=r"record its \.state_dict\(\)"):
        list(iter_leaves(scheduler, "scheduler", flatten))


def test_an_error_while_reading_names_the_path() -> None:
    def failing(value: object) -> Any:
        raise RuntimeError("no data pointer")

    with pytest.raises(TypeError, match=r"^x cannot be read: RuntimeError: no data pointer$"):
        list(iter_leaves(1, "x", failing))


def test_locals_hold_arrays_only() -> None:
    value = {
        "array": np.ones(2), "tensors": [torch.ones(1), "text", 3], "scalar": np.float64(1), "set": {1},
        "object": Broken(), "none": None, "text": np.array(["a"]), "enum": Mode.FAST,
    }  # fmt: skip
    assert local_paths(value) == ["['array']", "['tensors'][0]"]


@pytest.mark.parametrize("spec", [None, str, int, float, set, dict, torch.Tensor, np.ndarray])
@pytest.mark.parametrize("kind", [Mock, MagicMock])
def test_mocks_in_locals_are_not_touched(kind: Any, spec: type | None) -> None:
    mock = kind(spec=spec)
    assert local_paths([mock]) == []
    assert mock.mock_calls == []


def test_numbers_in_locals_are_noted_and_spend_no_budget() -> None:
    budget = LocalsBudget(nodes=3)
    assert local_paths([*range(1000), torch.ones(1)], budget) == ["[1000]"]
    assert len(budget.skipped) == 50


def test_a_local_that_breaks_is_left_out_and_counted() -> None:
    class Lazy(dict[str, Any]):
        def items(self) -> Any:
            raise RuntimeError

    for value in (Lazy(a=1), _half_made(), torch.ones(2, device="meta"), np.array([None])):
        budget = LocalsBudget()
        assert local_paths([value, np.ones(1)], budget) == ["[1]"]
        assert [(path, reason != "") for path, _, reason in budget.skipped] == [("[0]", True)]


def test_depth_nodes_and_cycles_of_locals_are_bounded() -> None:
    budget = LocalsBudget(nodes=50, depth=3)
    assert len(local_paths([np.ones(1) for _ in range(100)], budget)) == 49
    assert local_paths([[[[[np.ones(1)]]]]], LocalsBudget(depth=3)) == []
    assert local_paths(_cycle()) == []


def test_generators_in_locals_count() -> None:
    assert local_paths(torch.Generator()) == [".state"]
    assert ".state['state']['state']" in local_paths(np.random.default_rng(0))


def test_locals_that_are_durations_by_name_are_left_out() -> None:
    class Clock(torch.nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.wait_time = torch.nn.Parameter(torch.ones(1))

    budget = LocalsBudget()
    value = {"fit_time": np.ones(1), "n_times": np.ones(1, int), "score": np.ones(1), "model": Clock()}
    value["decay_time"] = torch.ones(1, requires_grad=True)
    assert local_paths(value, budget) == ["['decay_time']", "['model'].wait_time", "['n_times']", "['score']"]
    assert [each.reason for each in budget.skipped] == [DURATION]


def test_columns_named_as_durations_are_skipped() -> None:
    pd = pytest.importorskip("pandas")
    value = pd.DataFrame({"fit_time": [1.0], "n_times": [1], "score": [1.0]})
    budget = LocalsBudget()
    columns = [path for path in local_paths(value, budget) if path.startswith("[")]
    assert columns == ["['n_times']", "['score']"]
    assert [each.reason for each in budget.skipped] == [DURATION]


@pytest.mark.parametrize(
    "path",
    ["elapsed", "epoch_times", "cv['mean_fit_time']", "cv['split_times'][3]", "r.refit_time_", "seconds",
     "total_duration", "elapsed_ms", "timings", "warm.Fit_Time", "frame[('fit_time', 'mean')]"],
)  # fmt: skip
def test_names_of_durations(path: str) -> None:
    assert is_duration(path)


@pytest.mark.parametrize(
    "path", ["time", "times", "loss", "time_series", "runtime_errors", "lifetime", "elapsed['x']"]
)
def test_names_that_only_look_like_durations(path: str) -> None:
    assert not is_duration(path)
