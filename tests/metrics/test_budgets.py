from __future__ import annotations

import math
from itertools import combinations
from statistics import stdev
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro import metrics

ACCURACY = {0: 0.91, 1: 0.90, 2: 0.92, 3: 0.91, 4: 0.50, 5: 0.93}


def test_a_budget_that_is_kept() -> None:
    found = metrics.budget({0: 0.90, 1: 0.92}, range=0.02, min=0.90, max=0.92)
    assert found.within_budget  # though 0.92 - 0.90 is 0.020000000000000018
    assert found.seeds == ()
    assert str(found).startswith("within budget: n 2, mean 0.91")


def test_a_budget_that_is_broken_names_the_seeds() -> None:
    found = metrics.budget(ACCURACY, std=0.02, range=0.02, min=0.9, max=0.92)
    assert [(each.rule, each.seeds) for each in found.breaches] == [
        ("std", (4,)), ("range", (4, 5)), ("min", (4,)), ("max", (5,)),
    ]  # fmt: skip
    assert not found.within_budget
    assert found.seeds == (4, 5)
    assert str(found).startswith(
        "over budget: std 0.1693 > 0.02: seed 4; range 0.43 > 0.02: seeds 4, 5; "
        "min 0.5 < 0.9: seed 4; max 0.93 > 0.92: seed 5 (n 6"
    )


def test_what_is_not_finite_breaks_every_budget() -> None:
    found = metrics.budget({0: 1.0, 1: math.nan, 2: 1.0}, max=2.0)
    assert [(each.rule, each.seeds) for each in found.breaches] == [("finite", (1,))]
    assert str(found).startswith("over budget: not finite: seed 1 (n 2")


def test_a_sweep_can_be_checked_as_well() -> None:
    swept = metrics.sweep(ACCURACY)
    assert metrics.budget(swept, min=0.9) == metrics.budget(ACCURACY, min=0.9)


_grid = st.lists(st.integers(0, 12), min_size=2, max_size=7).map(lambda v: dict(enumerate(map(float, v))))


@given(_grid, st.sampled_from(["std", "range"]), st.floats(0, 6))
def test_the_fewest_seeds_are_blamed(values: dict[int, float], rule: str, allowed: float) -> None:
    def spread(seeds: tuple[int, ...]) -> float:
        kept = [values[seed] for seed in seeds]
        return (stdev(kept) if rule == "std" else max(kept) - min(kept)) if len(kept) > 1 else 0.0

    limits: Any = {rule: allowed}
    found = metrics.budget(values, **limits)
    most = max(
        n for n in range(1, len(values) + 1)
        if any(spread(each) <= allowed + 1e-12 for each in combinations(values, n))
    )  # fmt: skip
    assert found.within_budget == (most == len(values))
    assert len(found.seeds) == len(values) - most
    rest = tuple(seed for seed in values if seed not in found.seeds)
    assert spread(rest) <= allowed + 1e-12


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({}, "no limit is given"),
        ({"std": -1.0}, "std=-1: expected a number that is not negative"),
        ({"min": math.nan}, "min=nan: expected a number"),
    ],
)
def test_bad_rules_are_refused(limits: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        metrics.budget(ACCURACY, **limits)
