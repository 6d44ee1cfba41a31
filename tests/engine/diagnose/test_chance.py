"""The number of runs that tells a suspect from chance, for sources of many kinds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import comb
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.core.diagnose import ExperimentResult
from pytest_repro.engine.diagnose.chance import (
    FALSE_POSITIVE_RATE,
    MAX_REQUIRED_RUNS,
    compute_chance,
    compute_matching_runs,
    compute_required_runs,
    repeat_until_known,
    run_until_certain,
)

Source = Callable[[Random], object]

SOURCES: dict[str, Source] = {
    "continuous": lambda draw: draw.random(),
    "twelve values": lambda draw: draw.randrange(12),
    "three values": lambda draw: draw.randrange(3),
    "coin": lambda draw: draw.randrange(2),
    "loaded coin": lambda draw: draw.random() < 0.2,
    "rare race": lambda draw: draw.random() < 1 / 30,
    "rare value among many": lambda draw: draw.random() < 0.1 and draw.random(),
}


@pytest.mark.parametrize(
    ("free", "needed"),
    [
        ("abcdefghij", 4),
        ("a" * 50 + "b" * 50, 9),
        ("a" * 8 + "b" * 8, 12),
        ("a" * 60 + "b" * 4, 173),
        ("aaaaaa", MAX_REQUIRED_RUNS),
    ],
)
def test_required_runs(free: str, needed: int) -> None:
    assert compute_required_runs(free) == needed
    if needed < MAX_REQUIRED_RUNS:
        assert (
            compute_chance(free, "a" * needed)
            <= FALSE_POSITIVE_RATE
            < compute_chance(free, "a" * (needed - 1))
        )


def test_a_value_that_no_other_run_has_shown_takes_fewer_runs() -> None:
    assert compute_required_runs("abcdef", "z") == 4
    assert compute_required_runs("abcdef", "a") == 7
    assert compute_required_runs("bcde", "a", known="aa") == 4  # six runs in all


@pytest.mark.parametrize(("later", "needed"), [("bcde", 6), ("b" * 90, 2), ("bbbba", 9), ("b" * 8 + "aa", 6)])
def test_runs_that_show_a_value_known_beforehand(later: str, needed: int) -> None:
    assert compute_matching_runs(later, "a") == needed
    assert _share_of_a(later, needed) <= FALSE_POSITIVE_RATE < _share_of_a(later, needed - 1) or needed == 2


def _share_of_a(later: str, runs: int) -> float:
    """The share of choices of so many runs, of all, that show only "a"."""
    all_runs = [*later, *"a" * runs]
    return comb(all_runs.count("a"), runs) / comb(len(all_runs), runs)


@given(st.text("abc", min_size=2), st.integers(2, 30))
def test_chance_is_the_share_of_choices_that_agree(free: str, held: int) -> None:
    from itertools import combinations

    runs = [*free[:6], *"a" * min(held, 5)]
    choices = list(combinations(runs, min(held, 5)))
    agreeing = sum(len(set(choice)) == 1 for choice in choices)
    assert compute_chance(free[:6], "a" * min(held, 5)) == pytest.approx(agreeing / len(choices))


def _make_result(source: Source, draw: Random, runs: int) -> ExperimentResult:
    digests = tuple(str(source(draw)) for _ in range(runs))
    differing = tuple(number for number, digest in enumerate(digests) if digest != digests[0])
    return ExperimentResult(runs, differing, digests=digests)


@pytest.mark.parametrize("name", SOURCES)
def test_an_innocent_suspect_is_hardly_ever_blamed(name: str) -> None:
    """The whole procedure, in which the number of runs depends on what earlier runs have shown."""
    source, blamed, trials = SOURCES[name], 0, 2000
    for seed in range(trials):
        draw = Random(seed)
        results = [_make_result(source, draw, 2)]
        make = partial(_make_result, source, draw)
        free = repeat_until_known(results, make)
        if len(set(free)) > 1 and compute_required_runs(free) < MAX_REQUIRED_RUNS:
            blamed += run_until_certain(make, free).equal
    assert blamed / trials <= 2 * FALSE_POSITIVE_RATE
