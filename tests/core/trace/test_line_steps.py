"""The first line at which two runs parted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.core.trace.line_steps import LineDivergence, LineStep, find_line_divergence

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
