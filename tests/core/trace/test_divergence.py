from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pytest_repro.core.trace import divergence
from pytest_repro.core.trace.columns import Columns
from pytest_repro.core.trace.divergence import (
    CONTEXT,
    Divergence,
    LineDivergence,
    LineStep,
    find_line_divergence,
    first_divergence,
)
from pytest_repro.core.trace.trace import Op, Trace

ONE, TWO = "1" * 16, "2" * 16
OPS = st.builds(
    Op,
    name=st.sampled_from("ab"),
    outputs=st.sampled_from([(), (ONE,), (TWO,), (ONE, TWO), ("",)]),
    inputs=st.sampled_from([(), (ONE,), (TWO,)]),
    location=st.sampled_from(["", "/a.py:1", "/b.py:2"]),
    generator_state=st.sampled_from(["", "", ONE, TWO]),
    view=st.sampled_from(["", ONE, TWO]),
    forward=st.none(),
    forward_location=st.sampled_from(["", "/d.py:4"]),
    kinds=st.just(()),
)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[list[Op], list[Op]]:
    """Two programs that begin alike; lines and parts read are free, as they do not count."""
    start = draw(st.lists(OPS, max_size=9))
    moved = [
        op._replace(location=draw(st.sampled_from(["", "/c.py:9"])), view=draw(st.sampled_from(["", TWO])))
        for op in start
    ]
    return start + draw(st.lists(OPS, max_size=4)), moved + draw(st.lists(OPS, max_size=4))


@pytest.fixture(autouse=True, scope="module")
def _small_blocks() -> object:
    """Short programs cross the border of what is compared at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(divergence, "_BLOCK", 3)
        yield


def counted(op: Op) -> object:
    return op.name, op.inputs, op.generator_state, op.outputs


def parted(a: Sequence[Op], b: Sequence[Op]) -> Divergence:
    found = first_divergence(Trace.from_ops(a), Trace.from_ops(b))
    assert found is not None
    return found


@given(pairs())
def test_the_index_is_that_of_the_first_difference(pair: tuple[list[Op], list[Op]]) -> None:
    a, b = pair
    found = first_divergence(Trace.from_ops(a), Trace.from_ops(b))
    if [*map(counted, a)] == [*map(counted, b)]:
        assert found is None
        return
    assert found is not None
    assert [*map(counted, a[: found.index])] == [*map(counted, b[: found.index])]
    left, right = a[found.index : found.index + 1], b[found.index : found.index + 1]
    assert [*map(counted, left)] != [*map(counted, right)]
    assert (found.kind == "length") == (not left or not right)
    assert (found.kind == "path") == (bool(left and right) and left[0].name != right[0].name)


@given(pairs())
def test_the_other_way_round_it_is_the_same_place(pair: tuple[list[Op], list[Op]]) -> None:
    a, b = map(Trace.from_ops, pair)
    there, back = first_divergence(a, b), first_divergence(b, a)
    if there is None or back is None:
        assert there is back
        return
    assert (there.index, there.kind, there.random) == (back.index, back.kind, back.random)
    assert (there.context, there.other_context) == (back.other_context, back.context)
    swapped = {"": "", "first": "second", "second": "first"}
    assert swapped[there.ended_trace] == back.ended_trace
    if not there.ended_trace:
        assert (there.op, there.other_op) == (back.other_op, back.op)
        assert (there.location, there.other_location) == (back.other_location, back.location)


@given(st.lists(OPS, max_size=9), st.integers(0, 8), OPS)
def test_one_op_that_is_exchanged_is_found(program: list[Op], at: int, op: Op) -> None:
    assume(at < len(program) and counted(program[at]) != counted(op))
    assert parted(program, [*program[:at], op, *program[at + 1 :]]).index == at


@pytest.mark.parametrize(
    ("a", "b", "kind"),
    [
        (Op("a", (ONE,)), Op("a", (TWO,)), "value"),
        (Op("a", (ONE,)), Op("a", (ONE, TWO)), "value"),
        (Op("a", (ONE,)), Op("a", ("",)), "value"),
        (Op("a", (ONE,), (ONE,)), Op("a", (ONE,), (TWO,)), "input"),
        (Op("a", (ONE,), (ONE,)), Op("a", (TWO,), (TWO,)), "input"),
        (Op("a", (ONE,), generator_state=ONE), Op("a", (TWO,), generator_state=TWO), "input"),
        (Op("a", (ONE,), generator_state=ONE), Op("a", (ONE,), generator_state=TWO), "input"),
        (Op("a", (ONE,), view=ONE), Op("a", (TWO,), view=TWO), "input"),
        (Op("a", (ONE,), generator_state=ONE), Op("a", (TWO,), generator_state=ONE), "value"),
        (Op("a", (ONE,), (ONE,)), Op("b", (ONE,), (TWO,)), "path"),
    ],
)
def test_kinds(a: Op, b: Op, kind: str) -> None:
    found = parted([Op("before"), a], [Op("before"), b])
    assert (found.kind, found.index, found.ended_trace) == (kind, 1, "")
    assert found.random == bool(a.generator_state)


def test_inputs_and_outputs_are_not_taken_for_one_another() -> None:
    assert parted([Op("a", (ONE,)), Op("a", (TWO,))], [Op("a", (ONE, TWO)), Op("a")]).index == 0
    assert parted([Op("a", (), (ONE,)), Op("a")], [Op("a"), Op("a", (), (ONE,))]).index == 0
    assert parted([Op("a", generator_state=ONE), Op("a")], [Op("a"), Op("a", generator_state=ONE)]).index == 0


def test_lines_alone_do_not_part() -> None:
    a = [Op("a", (ONE,), location="/a.py:1"), Op("b", (ONE,), forward=0, kinds=("int64[]",), view=ONE)]
    b = [Op("a", (ONE,), location="/a.py:2"), Op("b", (ONE,), forward_location="/b.py:3", view=TWO)]
    assert first_divergence(Trace.from_ops(a), Trace.from_ops(b)) is None


def test_an_early_end_names_the_first_op_beyond_it() -> None:
    program = [Op(f"op{i}", (ONE,), location=f"/a.py:{i}") for i in range(9)]
    for a, b, ended in ((program, program[:5], "second"), (program[:5], program, "first")):
        found = parted(a, b)
        assert (found.kind, found.op, found.index) == ("length", "op5", 5)
        assert (found.location, found.other_op, found.other_location) == ("/a.py:5", "", "")
        assert found.ended_trace == ended
    assert parted([], program).index == 0


def test_the_ops_around_it_are_told() -> None:
    left = [Op(f"op{i}", location=f"/a.py:{i}") for i in range(20)]
    right = [*left[:8], Op("other", location="/b.py:1", forward=2), *left[8:]]
    found = parted(left, right)
    assert (found.op, found.location, found.forward_location) == ("op8", "/a.py:8", "")
    assert (found.other_op, found.other_location) == ("other", "/b.py:1")
    assert found.context_start == 8 - CONTEXT
    assert found.context == tuple(left[5:12])
    assert [op.name for op in found.other_context] == [op.name for op in right[5:12]]
    assert parted(right, left).forward_location == "/a.py:2"
    assert parted([Op("a"), Op("b")], [Op("a"), Op("c")]).context_start == 0


def test_each_trace_numbers_its_texts_for_itself() -> None:
    a, b = Columns(), Columns()
    b.names.intern("another")
    for columns in (a, b):
        for name in ("first", "second"):
            columns.add((columns.names.intern(name), 0, -1, (1,), (0,), (), 0, 0))
        columns.places.intern("")
        columns.kinds.intern("")
    assert first_divergence(Trace(a), Trace(b)) is None


@pytest.mark.parametrize("at", [0, 4095, 4096, 4097, 9999])
def test_long_traces_part_where_they_part(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(divergence, "_BLOCK", 4096)
    program = [Op("a", (ONE,), (TWO,)) for _ in range(10_000)]
    other = [*program[:at], Op("a", (TWO,), (TWO,)), *program[at + 1 :]]
    assert parted(program, other).index == at
    assert first_divergence(Trace.from_ops(program), Trace.from_ops(program)) is None


STEPS = st.lists(
    st.builds(
        LineStep,
        st.sampled_from("abc"),
        st.lists(
            st.tuples(st.sampled_from("xy"), st.sampled_from("12")),
            max_size=2,
            unique_by=lambda pair: pair[0],
        ).map(tuple),
    ),
    max_size=6,
)


@given(STEPS)
def test_equal_runs_do_not_part(steps: list[LineStep]) -> None:
    assert find_line_divergence(steps, list(steps)) == LineDivergence()


@given(STEPS, STEPS, STEPS)
def test_it_is_the_first_that_differs_whichever_comes_first(
    same: list[LineStep], one: list[LineStep], other: list[LineStep]
) -> None:
    here, there = LineStep("here", (("x", "1"), ("z", "1"))), LineStep("here", (("x", "1"), ("z", "2")))
    assert find_line_divergence([*same, here, *one], [*same, there, *other]) == LineDivergence("here", "z")
    assert find_line_divergence([*same, there, *one], [*same, here, *other]) == LineDivergence("here", "z")


@given(STEPS, STEPS)
def test_another_line_and_the_end_are_answers(same: list[LineStep], rest: list[LineStep]) -> None:
    left, right = LineStep("left", ()), LineStep("right", ())
    assert find_line_divergence([*same, left, *rest], [*same, right]) == LineDivergence("left")
    assert (
        find_line_divergence([*same, left, *rest], same)
        == LineDivergence("left")
        == find_line_divergence(same, [*same, left])
    )


def test_a_name_that_is_new_counts_as_another_value() -> None:
    assert find_line_divergence([LineStep("a", ())], [LineStep("a", (("x", "1"),))]) == LineDivergence(
        "a", "x"
    )
    assert find_line_divergence([LineStep("a", (("x", "1"),))], [LineStep("a", ())]) == LineDivergence(
        "a", "x"
    )
