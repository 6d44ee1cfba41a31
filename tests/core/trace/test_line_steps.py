"""The first line at which two runs parted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.core.trace.line_steps import Parted, Step, first_parted

STEPS = st.lists(
    st.builds(Step, st.sampled_from("abc"), st.lists(st.tuples(st.sampled_from("xy"), st.sampled_from("12")),
              max_size=2, unique_by=lambda pair: pair[0]).map(tuple)),
    max_size=6,
)  # fmt: skip


@given(STEPS)
def test_equal_runs_do_not_part(steps: list[Step]) -> None:
    assert first_parted(steps, list(steps)) == Parted()


@given(STEPS, STEPS, STEPS)
def test_it_is_the_first_that_differs_whichever_comes_first(
    same: list[Step], one: list[Step], other: list[Step]
) -> None:
    here, there = Step("here", (("x", "1"), ("z", "1"))), Step("here", (("x", "1"), ("z", "2")))
    assert first_parted([*same, here, *one], [*same, there, *other]) == Parted("here", "z")
    assert first_parted([*same, there, *one], [*same, here, *other]) == Parted("here", "z")


@given(STEPS, STEPS)
def test_another_line_and_the_end_are_answers(same: list[Step], rest: list[Step]) -> None:
    left, right = Step("left", ()), Step("right", ())
    assert first_parted([*same, left, *rest], [*same, right]) == Parted("left")
    assert first_parted([*same, left, *rest], same) == Parted("left") == first_parted(same, [*same, left])


def test_a_name_that_is_new_counts_as_another_value() -> None:
    assert first_parted([Step("a", ())], [Step("a", (("x", "1"),))]) == Parted("a", "x")
    assert first_parted([Step("a", (("x", "1"),))], [Step("a", ())]) == Parted("a", "x")
