"""Rows in any order have one digest; other rows, and columns that are permuted apart, have another."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_repro.core.plan.plan import exact_tolerance
from pytest_repro.engine.experiments.row_digest import digest_rows
from pytest_repro.engine.runs.recording import Recording
from pytest_repro.values.spill_store import SpillStore

KEYS, VALUES = np.arange(300), np.linspace(0, 1, 300)
ORDER = np.random.default_rng(0).permutation(300)


def compute_digest(value: object) -> str:
    with SpillStore(2**20) as store:
        recording = Recording(store, exact_tolerance)
        recording.record("out", value)
        return digest_rows(recording, store)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (VALUES, VALUES[ORDER]),
        (np.stack([KEYS, VALUES], 1), np.stack([KEYS, VALUES], 1)[ORDER]),
        ({"k": KEYS, "v": VALUES}, {"k": KEYS[ORDER], "v": VALUES[ORDER]}),
        ({"k": ["a", "b"], "v": [1, 2]}, {"k": ["b", "a"], "v": [2, 1]}),
        ([("a", 1), ("b", 2)], [("b", 2), ("a", 1)]),
        ({"n": 3, "rows": [[1.5, 2.0], [2.0]]}, {"n": 3, "rows": [[2.0], [1.5, 2.0]]}),
    ],
)
def test_rows_in_another_order(one: object, other: object) -> None:
    assert compute_digest(one) == compute_digest(other) != ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (VALUES, VALUES[ORDER] + 1),
        (np.arange(6).reshape(2, 3), np.arange(6).reshape(2, 3)[:, ::-1]),  # columns in another order
        ({"k": KEYS, "v": VALUES}, {"k": KEYS, "v": VALUES[ORDER]}),  # a value for another key
        ({"k": ["a", "b"], "v": [1, 2]}, {"k": ["a", "b"], "v": [2, 1]}),
        ([("a", 1), ("b", 2)], [("a", 2), ("b", 1)]),
        ([0, 0, 1], [0, 1, 0]),  # one-hot
        (1.0, 2.0),
        ([1.0, 2.0], [2, 1]),
    ],
)
def test_other_rows(one: object, other: object) -> None:
    assert compute_digest(one) != compute_digest(other)
