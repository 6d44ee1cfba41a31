"""The user's lines, and what they did to local variables."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from pytest_repro.core.trace.line_steps import LineDivergence, LineStep, find_line_divergence
from pytest_repro.engine.experiments.line_trace import digest_value, pause_all_tracing, trace_lines


def stepped(function: Callable[..., Any], *args: Any) -> list[LineStep]:
    with trace_lines() as found:
        function(*args)
    return list(found)


def line(function: Callable[..., Any], offset: int) -> str:
    code = function.__code__
    return f"{code.co_filename}:{code.co_firstlineno + offset}"


def parted(function: Callable[..., Any], one: Any, other: Any) -> LineDivergence:
    return find_line_divergence(stepped(function, one), stepped(function, other))


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
    assert parted(drawn, numbers(1), numbers(1)) == LineDivergence()
    assert parted(drawn, numbers(1), numbers(2)) == LineDivergence(line(drawn, 3), "value")


def test_another_way_taken_is_told_by_its_line() -> None:
    assert parted(branching, iter([True]), iter([False])) == LineDivergence(line(branching, 2))


def test_arguments_that_differ_are_told_at_the_call() -> None:
    assert parted(given, [1, 2], [2, 1]) == LineDivergence(line(given, 0), "rows")


def test_steps_end_where_they_are_many_and_the_tracer_is_put_back() -> None:
    def before(frame: Any, event: str, argument: object) -> None:
        return None

    real = sys.gettrace()
    sys.settrace(before)
    try:
        with pytest.raises(KeyError), trace_lines(limit=5) as found:
            drawn(numbers(1))
            raise KeyError
        assert sys.gettrace() is before
    finally:
        sys.settrace(real)
    assert len(found) == 5


def test_what_is_made_once_for_all_runs_does_not_count() -> None:
    with trace_lines() as found:
        with pause_all_tracing():
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
    assert digest_value([1, "a", None]) == digest_value([1, "a", None]) != digest_value(["a", 1, None])
    assert digest_value({"a": 1, "b": 2}) != digest_value({"b": 2, "a": 1})
    assert digest_value({"a", "b", "c"}) == digest_value({"c", "b", "a"})
    assert digest_value(np.arange(3)) == digest_value(np.arange(3)) != digest_value(np.arange(3.0))
    assert digest_value(Plain(1)) == digest_value(Plain(1)) != digest_value(Plain(2))
    assert digest_value(object()) == digest_value(object())


def test_looking_is_never_an_error_and_ends() -> None:
    circle: list[Any] = []
    circle.append(circle)
    assert digest_value(circle) == digest_value(circle)
    assert isinstance(digest_value(Hostile()), str)
    assert digest_value(iter([1, 2])) == digest_value(iter([3]))
    assert digest_value(np.broadcast_to(np.float32(0), (10**6, 10**6)))
