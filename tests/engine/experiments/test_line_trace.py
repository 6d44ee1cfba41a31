"""Tracing the user's lines and local variables."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from pytest_repro.core.trace.divergence import LineDivergence, LineStep, find_line_divergence
from pytest_repro.engine.experiments.line_trace import digest_value, pause_all_tracing, trace_lines


def trace(function: Callable[..., Any], *args: Any) -> list[LineStep]:
    with trace_lines() as steps:
        function(*args)
    return list(steps)


def locate(function: Callable[..., Any], offset: int) -> str:
    code = function.__code__
    return f"{code.co_filename}:{code.co_firstlineno + offset}"


def compare(function: Callable[..., Any], one: Any, other: Any) -> LineDivergence:
    return find_line_divergence(trace(function, one), trace(function, other))


def draw(source: Callable[[], float]) -> float:
    total = 1.0
    for _ in range(2):
        value = source()
        total += value
    return total


def branch(flags: Iterator[bool]) -> int:
    if next(flags):
        return 1
    return 2


def call(rows: Sequence[int]) -> int:
    return sum(rows)


def make_source(seed: int) -> Callable[[], float]:
    return random.Random(seed).random


def test_line_and_name_at_which_runs_diverge() -> None:
    assert compare(draw, make_source(1), make_source(1)) == LineDivergence()
    assert compare(draw, make_source(1), make_source(2)) == LineDivergence(locate(draw, 3), "value")


def test_another_branch() -> None:
    assert compare(branch, iter([True]), iter([False])) == LineDivergence(locate(branch, 2))


def test_arguments_that_differ() -> None:
    assert compare(call, [1, 2], [2, 1]) == LineDivergence(locate(call, 0), "rows")


def test_limit_and_restored_trace_function() -> None:
    def previous(frame: Any, event: str, argument: object) -> None:
        return None

    real = sys.gettrace()
    sys.settrace(previous)
    try:
        with pytest.raises(KeyError), trace_lines(limit=5) as steps:
            draw(make_source(1))
            raise KeyError
        assert sys.gettrace() is previous
    finally:
        sys.settrace(real)
    assert len(steps) == 5


def test_pause_all_tracing() -> None:
    with trace_lines() as steps:
        with pause_all_tracing():
            draw(make_source(1))
        assert steps == []
        draw(make_source(1))
        assert steps


class Plain:
    def __init__(self, value: object) -> None:
        self.value = value


class Hostile:
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("leave me alone")


def test_digest_depends_on_content_and_order() -> None:
    assert digest_value([1, "a", None]) == digest_value([1, "a", None]) != digest_value(["a", 1, None])
    assert digest_value({"a": 1, "b": 2}) != digest_value({"b": 2, "a": 1})
    assert digest_value({"a", "b", "c"}) == digest_value({"c", "b", "a"})
    assert digest_value(np.arange(3)) == digest_value(np.arange(3)) != digest_value(np.arange(3.0))
    assert digest_value(Plain(1)) == digest_value(Plain(1)) != digest_value(Plain(2))
    assert digest_value(object()) == digest_value(object())


def test_digest_of_any_value_raises_nothing_and_ends() -> None:
    circle: list[Any] = []
    circle.append(circle)
    assert digest_value(circle) == digest_value(circle)
    assert isinstance(digest_value(Hostile()), str)
    assert digest_value(iter([1, 2])) == digest_value(iter([3]))
    assert digest_value(np.broadcast_to(np.float32(0), (10**6, 10**6)))
