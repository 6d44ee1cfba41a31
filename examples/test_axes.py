"""What two runs in one process cannot see: another process, threads, listings, memory, batches."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pytest_repro import assert_batch_invariant

WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "and", "runs", "away"]


@pytest.mark.reproducible(process=True)
@pytest.mark.xfail(
    reason="the numbers of words hang on PYTHONHASHSEED: sorted(set(words)) would not", strict=True
)
def test_a_vocabulary_from_a_set(repro):
    vocabulary = {word: number for number, word in enumerate(set(WORDS))}
    repro.record(tokens=[vocabulary[word] for word in WORDS])


@pytest.mark.reproducible(process=True)
def test_a_vocabulary_in_order(repro):
    vocabulary = {word: number for number, word in enumerate(sorted(set(WORDS)))}
    repro.record(tokens=[vocabulary[word] for word in WORDS])


@pytest.mark.reproducible(order=True)
@pytest.mark.xfail(reason="files come in the order of the file system: sorted() is missing", strict=True)
def test_a_data_set_from_a_folder(repro, tmp_path: Path):
    for number in range(8):
        (tmp_path / f"{number}.txt").write_text(str(number))
    repro.record(data=[int(path.read_text()) for path in tmp_path.glob("*.txt")])


@pytest.mark.reproducible(memory=True)
@pytest.mark.xfail(reason="the last row is never written: torch.zeros would do", strict=True)
def test_a_buffer_that_is_read_before_it_is_written(repro):
    buffer = torch.empty(4, 3)
    for row in range(3):
        buffer[row] = row
    repro.record(total=buffer.sum())


@pytest.mark.reproducible(threads=(1, 2))
def test_a_mean_is_close_whatever_the_threads(repro):
    """``rtol=0, atol=0`` would ask for equal bits, which threads do not give."""
    repro.record(loss=torch.rand(1_000_000).square().mean())


def test_rows_do_not_hang_on_their_batch():
    """Close, not equal: a product of one row takes another way than one of many."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.ReLU(), torch.nn.Linear(64, 3)).eval()
    assert_batch_invariant(model, torch.rand(50, 32), sizes=(1, 7, None), rtol=1e-5, atol=1e-6)
