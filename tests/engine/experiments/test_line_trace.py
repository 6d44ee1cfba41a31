"""The user's lines, and what they did to local variables."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from pytest_repro.core.trace.line_steps import Parted, Step, first_parted
from pytest_repro.engine.experiments.line_trace import looked_at, stepping, unwatched


def stepped(function: Callable[..., Any], *args: Any) -> list[Step]:
    with stepping() as found:
        function(*args)
    return list(found)


def line(function: Callable[..., Any], offset: int) -> str:
    code = function.__code__
    return f"{code.co_filename}:{code.co_firstlineno + offset}"


def parted(function: Callable[..., Any], one: Any, other: Any) -> Parted:
    return first_parted(stepped(function, one), stepped(function, other))


def drawn(source: Callable[[], float]) -> float:
    total = 1.0
    for _ in range(2):
        value = source()
        total += value
    return total


def branching(flags: Iterator[bool]) -> int:
    if next(flags):
        return 1
    return 2


def given(rows: Sequence[int]) -> int:
    return sum(rows)


def numbers(seed: int) -> Callable[[], float]:
    return random.Random(seed).random


def test_the_line_and_the_name_at_which_runs_part() -> None:
    assert parted(drawn, numbers(1), numbers(1)) == Parted()
    assert parted(drawn, numbers(1), numbers(2)) == Parted(line(drawn, 3), "value")


def test_another_way_taken_is_told_by_its_line() -> None:
    assert parted(branching, iter([True]), iter([False])) == Parted(line(branching, 2))


def test_arguments_that_differ_are_told_at_the_call() -> None:
    assert parted(given, [1, 2], [2, 1]) == Parted(line(given, 0), "rows")


def test_steps_end_where_they_are_many_and_the_tracer_is_put_back() -> None:
    def before(frame: Any, event: str, argument: object) -> None:
        return None

    real = sys.gettrace()
    sys.settrace(before)
    try:
        with pytest.raises(KeyError), stepping(most=5) as found:
            drawn(numbers(1))
            raise KeyError
        assert sys.gettrace() is before
    finally:
        sys.settrace(real)
    assert len(found) == 5


def test_what_is_made_once_for_all_runs_does_not_count() -> None:
    with stepping() as found:
        with unwatched():
            drawn(numbers(1))
        assert found == []
        drawn(numbers(1))
        assert found


class Plain:
    def __init__(self, value: object) -> None:
        self.value = value


class Hostile:
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("leave me alone")


def test_values_are_looked_at_by_what_they_hold_in_their_order() -> None:
    assert looked_at([1, "a", None]) == looked_at([1, "a", None]) != looked_at(["a", 1, None])
    assert looked_at({"a": 1, "b": 2}) != looked_at({"b": 2, "a": 1})
    assert looked_at({"a", "b", "c"}) == looked_at({"c", "b", "a"})
    assert looked_at(np.arange(3)) == looked_at(np.arange(3)) != looked_at(np.arange(3.0))
    assert looked_at(Plain(1)) == looked_at(Plain(1)) != looked_at(Plain(2))
    assert looked_at(object()) == looked_at(object())


def test_looking_is_never_an_error_and_ends() -> None:
    circle: list[Any] = []
    circle.append(circle)
    assert looked_at(circle) == looked_at(circle)
    assert isinstance(looked_at(Hostile()), str)
    assert looked_at(iter([1, 2])) == looked_at(iter([3]))
    assert looked_at(np.broadcast_to(np.float32(0), (10**6, 10**6)))
