from __future__ import annotations

import sys
import tracemalloc
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.core.trace.columns import NO_FORWARD, Columns
from pytest_repro.core.trace.trace import Op, Trace

DIGESTS = st.sampled_from(["", "00000000000000ff", "f" * 16, "0123456789abcdef"])
PLACES = st.sampled_from(["", "/a/b.py:3", "/a/ü.py:19", "<stdin>:1"])


@st.composite
def ops(draw: st.DrawFn, index: int) -> Op:
    outputs = tuple(draw(st.lists(DIGESTS, max_size=3)))
    forward = draw(st.none() | st.integers(0, index - 1)) if index else None
    return Op(
        name=draw(st.sampled_from(["aten.add.Tensor", "aten.mm.default", "record loss[3]"])),
        outputs=outputs,
        inputs=tuple(draw(st.lists(DIGESTS, max_size=3))),
        location=draw(PLACES),
        forward=forward,
        forward_location=draw(PLACES) if forward is None else "",
        generator_state=draw(DIGESTS),
        view=draw(DIGESTS),
        kinds=tuple(draw(st.sampled_from(["float32[4, 8]", "int64[]"])) for _ in outputs),
    )


@st.composite
def programs(draw: st.DrawFn) -> list[Op]:
    found: list[Op] = []
    for index in range(draw(st.integers(0, 12))):
        op = draw(ops(index))
        if op.forward is not None:
            op = op._replace(forward_location=found[op.forward].location)
        found.append(op)
    return found


@given(programs())
def test_a_trace_is_the_sequence_of_its_ops(program: list[Op]) -> None:
    trace = Trace.from_ops(program)
    assert list(trace) == program
    assert len(trace) == len(program)
    assert trace[1:-1] == tuple(program[1:-1])
    assert trace[::-2] == tuple(program[::-2])
    assert [*map(trace.__getitem__, range(-len(program), 0))] == program
    for beyond in (len(program), -len(program) - 1):
        with pytest.raises(IndexError):
            trace[beyond]


@given(programs(), st.integers(0, 13))
def test_the_beginning_of_a_trace_is_one(program: list[Op], stop: int) -> None:
    whole = Trace.from_ops(program)
    found = whole.head(stop)
    assert list(found) == program[:stop]
    assert list(Trace.from_bytes(found.to_bytes())) == program[:stop]
    assert list(whole) == program


def test_a_trace_says_how_long_it_is() -> None:
    assert repr(Trace.from_ops([Op("a"), Op("b")])) == "<Trace of 2 ops>"
    assert repr(Trace()) == "<Trace of 0 ops>"


def test_the_line_of_a_forward_op_is_that_ops_own() -> None:
    found = Trace.from_ops([Op("a", location="/a.py:1"), Op("b", forward=0, forward_location="/lies.py:2")])
    assert found[1].forward_location == "/a.py:1"
    view = Op("b", forward_location="/view.py:2")
    assert Trace.from_ops([view])[0] == view
    assert list(Trace.from_ops([view._replace(forward=0), view._replace(forward=-5)])) == [view, view]


def test_ops_are_found_before_and_after_they_reach_the_arrays() -> None:
    columns, expected = Columns(), []
    trace = Trace(columns)
    for number in range(1, 1500):  # more than wait at a time
        columns.add((columns.names.intern(f"op{number % 7}"), 0, NO_FORWARD, [number], [0], [], number, 0))
        expected.append((f"op{number % 7}", f"{number:016x}"))
        assert len(trace) == number
    columns.places.intern("")
    columns.kinds.intern("")
    assert [(op.name, op.outputs[0]) for op in trace] == expected
    assert [op.generator_state for op in trace] == [digest for _, digest in expected]


def test_threads_add_at_a_time() -> None:
    columns, each, number = Columns(), 3000, 4
    switch = sys.getswitchinterval()
    indices: list[int] = []

    def add(by: int) -> None:
        indices.extend(columns.add((by, 0, NO_FORWARD, (by,), (0,), (), 0, 0)) for _ in range(each))

    for name in range(number + 1):
        assert columns.names.intern(str(name)) == name
    threads = [Thread(target=add, args=(by,)) for by in range(1, number + 1)]
    try:
        sys.setswitchinterval(1e-6)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switch)
    columns.flush()
    assert sorted(indices) == list(range(each * number))
    assert list(columns.output) == list(columns.name)
    assert list(columns.output_end) == list(range(1, each * number + 1))
    assert sorted(columns.name) == sorted(by for by in range(1, number + 1) for _ in range(each))


def test_ten_times_the_ops_of_a_test_take_few_bytes_each() -> None:
    columns, many = Columns(), 50_000
    name, place, kind = columns.names.intern("op"), columns.places.intern("f:1"), columns.kinds.intern("k")
    tracemalloc.start()
    try:
        for number in range(1, many):
            columns.add((name, place, number - 1, [number << 40], [kind], [number << 41], 0, 0))
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used / many <= 70  # 44 in the columns, and what arrays keep to grow into
