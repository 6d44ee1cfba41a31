from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro import metrics

EQUAL = np.random.default_rng(0).normal(size=(6, 2))
OTHER = np.random.default_rng(1).normal(size=(6, 2))


def test_workers_that_drew_the_same_are_named() -> None:
    found = metrics.duplicates({"worker 0": EQUAL, "worker 1": OTHER, "worker 2": EQUAL.copy()})
    assert found == metrics.Duplicates(3, (("worker 0", "worker 2"),))
    assert found
    assert found.distinct == 2
    assert str(found) == "2 distinct of 3 draws, the same: worker 0, worker 2"


def test_workers_that_drew_their_own() -> None:
    found = metrics.duplicates({(0, 0): EQUAL, (1, 0): OTHER})
    assert not found
    assert str(found) == "no duplicates among 2 draws"


def test_a_worker_that_got_fewer_batches_drew_the_same_as_far_as_it_got() -> None:
    found = metrics.duplicates({"short": EQUAL[:4], "other": OTHER, "long": EQUAL, "end": EQUAL[2:]})
    assert found.groups == (("short", "long"),)


def test_bits_dtype_and_shape_are_compared() -> None:
    draws = {
        "float64": EQUAL, "float32": EQUAL.astype("f4"), "flat": EQUAL.reshape(-1), "deep": EQUAL[:, :, None],
        "strided": EQUAL[:, ::-1][:, ::-1], "fortran": np.asfortranarray(EQUAL),
    }  # fmt: skip
    assert metrics.duplicates(draws).groups == (("float64", "strided", "fortran"),)


def test_forked_workers_that_nobody_reseeds() -> None:
    torch = pytest.importorskip("torch")
    generators = {worker: np.random.default_rng(5) for worker in range(3)}
    found = metrics.duplicates({worker: torch.from_numpy(g.random(4)) for worker, g in generators.items()})
    assert found.groups == ((0, 1, 2),)
    assert metrics.duplicates({seed: random.Random(seed).random() for seed in range(3)}).distinct == 3


@given(st.lists(st.sampled_from([b"aa", b"ab", b"ba", b"cc"]), min_size=2, max_size=8), st.randoms())
def test_groups_are_those_of_equal_values(values: list[bytes], shuffle: Any) -> None:
    draws: dict[Any, object] = {i: list(each) for i, each in enumerate(values)}
    found = metrics.duplicates(draws)
    assert found.distinct == len(set(values))
    assert {i for group in found.groups for i in group} == {
        i for i, each in enumerate(values) if values.count(each) > 1
    }
    for group in found.groups:
        assert len({values[i] for i in group if isinstance(i, int)}) == 1
    order = list(draws)
    shuffle.shuffle(order)
    again = metrics.duplicates({i: draws[i] for i in order})
    assert {frozenset(group) for group in again.groups} == {frozenset(group) for group in found.groups}


@pytest.mark.parametrize(
    ("draws", "error", "said"),
    [
        ([EQUAL, OTHER], TypeError, "draws is a list: expected a mapping of name to numbers"),
        ({"a": EQUAL}, ValueError, "draws holds 1: expected 2 or more"),
        ({"a": EQUAL, "b": []}, ValueError, r"draws\['b'\] has shape \(0,\) without elements"),
        ({"a": EQUAL, "b": None}, TypeError, r"draws\['b'\] is a NoneType"),
    ],
)
def test_bad_draws_are_refused(draws: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        metrics.duplicates(draws)
