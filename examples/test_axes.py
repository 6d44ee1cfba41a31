"""Another process, thread count or listing shows what two runs cannot."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pytest_repro import Repro, assert_batch_invariant

WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "and", "runs", "away"]


@pytest.mark.reproducible(process=True)
@pytest.mark.xfail(reason="set order depends on PYTHONHASHSEED: use sorted(set(words))", strict=True)
def test_a_vocabulary_from_a_set(repro: Repro) -> None:
    vocabulary = {word: number for number, word in enumerate(set(WORDS))}
    repro.record(tokens=[vocabulary[word] for word in WORDS])


@pytest.mark.reproducible(process=True)
def test_a_sorted_vocabulary(repro: Repro) -> None:
    vocabulary = {word: number for number, word in enumerate(sorted(set(WORDS)))}
    repro.record(tokens=[vocabulary[word] for word in WORDS])


@pytest.mark.reproducible(order=True)
@pytest.mark.xfail(reason="glob lists files in the order of the file system: use sorted()", strict=True)
def test_a_dataset_from_a_folder(repro: Repro, tmp_path: Path) -> None:
    for number in range(8):
        (tmp_path / f"{number}.txt").write_text(str(number))
    repro.record(data=[int(path.read_text()) for path in tmp_path.glob("*.txt")])


@pytest.mark.reproducible(memory=True)
@pytest.mark.xfail(reason="the last row is never written: use torch.zeros", strict=True)
def test_a_buffer_read_before_it_is_written(repro: Repro) -> None:
    buffer = torch.empty(4, 3)
    for row in range(3):
        buffer[row] = row
    repro.record(total=buffer.sum())


@pytest.mark.reproducible(threads=(1, 2))
def test_a_mean_is_close_for_any_number_of_threads(repro: Repro) -> None:
    """``rtol=0, atol=0`` would require equal bits, which differ between thread counts."""
    repro.record(loss=torch.rand(1_000_000).square().mean())


def test_rows_do_not_depend_on_their_batch() -> None:
    """Close, not equal: a matrix product of one row uses another kernel than one of many rows."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.ReLU(), torch.nn.Linear(64, 3)).eval()
    assert_batch_invariant(model, torch.rand(50, 32), sizes=(1, 7, None), rtol=1e-5, atol=1e-6)
