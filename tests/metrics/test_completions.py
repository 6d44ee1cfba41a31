from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro import metrics

runs_of_tokens = st.lists(st.lists(st.integers(0, 2), max_size=5), min_size=2, max_size=6)


def test_three_completions_by_hand() -> None:
    found = metrics.tokens([[5, 1, 2], [5, 1, 2], [5, 3, 2], [5, 1, 4]])
    assert (found.runs, found.distinct, found.share, found.first_index) == (4, 3, 0.5, 1)
    assert found.candidates == (1, 3)
    assert str(found) == "3 distinct of 4, most frequent 50 %, first differing index 1: 1 or 3"


def test_equal_completions() -> None:
    found = metrics.tokens([["a", "b"], ["a", "b"]])
    assert found == metrics.Tokens(runs=2, distinct=1, share=1.0)
    assert str(found) == "1 distinct of 2, most frequent 100 %"


def test_a_completion_that_ends_parts_from_one_that_goes_on() -> None:
    found = metrics.tokens([[7, 8], [7]], [np.eye(9)[:2], np.eye(9)[:1]])
    assert (found.first_index, found.candidates, found.gap, found.top_gap) == (1, (8, None), None, 1.0)
    assert "first differing index 1: 8 or the end" in str(found)


def test_the_gap_is_that_of_the_candidates_where_they_part() -> None:
    first = [[9.0, 0.0, 0.0, 0.0], [1.0, 4.0, 3.5, 0.0]]
    second = [[9.0, 0.0, 0.0, 0.0], [1.0, 3.75, 4.0, 0.0]]
    found = metrics.tokens([[0, 1], [0, 2]], [first, second])
    assert (found.first_index, found.candidates, found.gap, found.top_gap) == (1, (1, 2), 0.25, 0.25)
    assert str(found).endswith("first differing index 1: 1 or 2, gap 0.25 (top-1 over top-2 0.25)")
    sampled = metrics.tokens([[0, 1], [0, 3]], [first, second])
    assert (sampled.gap, sampled.top_gap) == (3.75, 0.25)


def test_tensors_are_read_like_lists() -> None:
    torch = pytest.importorskip("torch")
    logits = torch.tensor([[0.0, 1.0, 3.0]], dtype=torch.bfloat16, requires_grad=True)
    found = metrics.tokens([torch.tensor([1]), torch.tensor([2])], [logits, logits])
    assert (found.candidates, found.gap, found.top_gap) == ((1, 2), 2.0, 2.0)
    assert metrics.tokens(torch.tensor([[1, 2], [1, 2]])).distinct == 1


@given(runs_of_tokens)
def test_completions_are_counted(runs: list[list[int]]) -> None:
    found = metrics.tokens(runs)
    counted = Counter(map(tuple, runs))
    assert (found.distinct, found.share) == (len(counted), max(counted.values()) / len(runs))
    if found.first_index is None:
        assert len(counted) == 1
        return
    assert len({tuple(run[: found.first_index]) for run in runs}) == 1
    assert len({tuple(run[: found.first_index + 1]) for run in runs}) > 1
    assert found.candidates is not None
    there = {run[found.first_index] if found.first_index < len(run) else None for run in runs}
    assert set(found.candidates) <= there


@pytest.mark.parametrize(
    ("runs", "logits", "error", "said"),
    [
        ([[1]], None, ValueError, "runs holds 1: expected 2 or more"),
        (["ab", "ac"], None, TypeError, r"runs\[0\] is text"),
        ([[1.5], [1.0]], None, TypeError, r"runs\[0\] has shape \(1,\), dtype float64: expected integers"),
        ([[[1]], [[2]]], None, TypeError, r"runs\[0\] has shape \(1, 1\)"),
        ([[1], [2]], [[[0, 1, 2]]], ValueError, "logits holds 1: expected one for each of the 2 runs"),
        ([[0, 1], [0, 2]], [[[0, 1, 2]]] * 2, ValueError, r"logits\[0\] has shape \(1, 3\): .*than 1 steps"),
        ([[1], [5]], [[[0, 1, 2]]] * 2, ValueError, "runs holds token 5: expected 0 to 2"),
        ([["a"], ["b"]], [[[0, 1, 2]]] * 2, TypeError, "runs holds the text 'a'"),
        ([[1], [2]], [[["a", "b"]]] * 2, TypeError, r"logits\[0\] has dtype <U1"),
    ],
)  # fmt: skip
def test_what_are_no_tokens_is_refused(runs: Any, logits: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        metrics.tokens(runs, logits)
