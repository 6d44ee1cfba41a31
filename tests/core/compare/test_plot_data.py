from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.core.compare.plot_data import Number, Series, add_counts, build_ulp_histogram, downsample

numbers = st.none() | st.floats()


@st.composite
def long_series(draw: st.DrawFn) -> Series:
    size = draw(st.integers(1, 500))
    # A few odd places in a long plain line: what a blind choice of every n-th would lose.
    lines: list[list[Number]] = [[float(n % 7) for n in range(size)] for _ in range(3)]
    for line in lines:
        for place in draw(st.lists(st.integers(0, size - 1), max_size=4)):
            line[place] = draw(numbers)
    first = draw(st.integers(0, size - 1))
    ours, theirs = (tuple(lines[0]), tuple(lines[1])) if draw(st.booleans()) else ((), ())
    differing = tuple(n >= first for n in range(size))
    return Series("step", tuple(range(size)), ours, theirs, tuple(lines[2]), differing, first, size)


def finite(line: tuple[Number, ...]) -> list[float]:
    return [each for each in line if each is not None and math.isfinite(each)]


@given(long_series(), st.integers(16, 400))
def test_a_thinned_series_keeps_its_shape(series: Series, points: int) -> None:
    thin = downsample(series, points)
    assert len(thin.steps) <= points
    assert (thin.first_differing, thin.total) == (series.first_differing, series.total)
    assert {series.steps[0], series.steps[-1], series.first_differing} <= set(thin.steps)
    assert list(thin.steps) == sorted(set(thin.steps))
    for name in ("reference", "other", "distance", "differing"):
        kept, whole = getattr(thin, name), getattr(series, name)
        assert list(map(repr, kept)) == [repr(whole[step]) for step in thin.steps if whole]


@given(long_series(), st.integers(16, 60))
def test_the_extremes_of_a_thinned_series_stay(series: Series, points: int) -> None:
    thin = downsample(series, points)
    for kept, whole in ((thin.reference, series.reference), (thin.other, series.other)):
        if finite(whole):
            assert (min(finite(kept)), max(finite(kept))) == (min(finite(whole)), max(finite(whole)))
    if finite(series.distance):
        assert max(finite(thin.distance)) == max(finite(series.distance))


def test_a_short_series_stays_as_it_is() -> None:
    series = Series("step", (0, 1), (1.0, 2.0), (1.0, 3.0), (0.0, 1.0), (False, True), 1, 2)
    assert downsample(series) is series


@pytest.mark.parametrize(
    ("counts", "edges", "filled"),
    [
        ((3,), (0, 1), (3,)),
        ((0, 2), (1, 2), (2,)),
        ((0, 2, 0, 5), (1, 2, 4, 8), (2, 0, 5)),
        ((0,) * 64 + (1,), (2**63, 2**64), (1,)),
    ],
)
def test_bins_are_powers_of_two(
    counts: tuple[int, ...], edges: tuple[int, ...], filled: tuple[int, ...]
) -> None:
    found = build_ulp_histogram(counts, 10, 1)
    assert found is not None
    assert (found.edges, found.counts, found.total, found.non_finite) == (edges, filled, 10, 1)


def test_nothing_that_differs_gives_no_bins() -> None:
    assert build_ulp_histogram((0, 0), 10, 0) is None
    assert build_ulp_histogram((), 0, 0) is None


def test_counts_of_unequal_length_add_up() -> None:
    assert add_counts([(1, 2), (), (0, 1, 5)]) == (1, 3, 5)
