"""Differences that five runs in one process do not show, and two runs under ``--repro-vary=stress`` do."""

from __future__ import annotations

from collections import defaultdict

import pytest

from tests.conftest import Project, Result

SOURCE = """
import glob
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

DATA = os.path.join(os.path.dirname(__file__), "data")
NAMES = [f"sample {n}" for n in range(1000)]
TEXT = " ".join(f"word{n % 300}" for n in range(900))
EXACT = pytest.mark.reproducible(rtol=0, atol=0)


class Item:
    def __init__(self, number):
        self.number = number


ITEMS = [Item(n) for n in range(50_000)]


def parts(size=200_000, number=16):
    return torch.randn(number, size)


def test_process__order_of_a_set_of_strings(repro):
    repro.record(order=",".join({f"tag {n}" for n in range(500)}))


def test_process__split_by_the_hash_of_a_name(repro):
    repro.record(train=np.array([hash(name) % 5 != 0 for name in NAMES]))


def test_process__dict_built_from_a_set(repro):
    weights = {name: len(name) for name in set(NAMES)}
    repro.record(first=next(iter(weights)), order=",".join(weights))


def test_process__name_of_a_cache_file(repro):
    repro.record(path=f"cache/{hash(('resnet18', 'v2')):x}.pt")


def test_process__labels_numbered_by_a_set(repro):
    labels = {label: number for number, label in enumerate(set(NAMES))}
    repro.record(target=torch.tensor([labels[name] for name in NAMES]))


def test_process__vocabulary_of_tied_counts(repro):
    vocabulary = [word for word, _ in Counter(list(set(TEXT.split()))).most_common(100)]
    repro.record(vocabulary=" ".join(vocabulary))


def test_process__order_by_id(repro):
    repro.record(order=np.array([item.number for item in sorted(ITEMS, key=id)]))


def test_process__set_of_objects_with_the_default_hash(repro):
    repro.record(order=np.array([item.number for item in set(ITEMS)]))


def test_process__sum_over_a_set_of_floats_by_name(repro):
    total = np.float32(0)
    for name in set(NAMES):
        total += np.float32(1) / (np.float32(1) + np.float32(int(name.split()[1])))
    repro.record(first=float(total), terms=np.cumsum([1 / (1 + int(n.split()[1])) for n in set(NAMES)]))


def test_order__listdir(repro):
    repro.record(names=",".join(os.listdir(DATA)))


def test_order__glob(repro):
    found = glob.glob(os.path.join(DATA, "*.txt"))
    repro.record(names=",".join(map(os.path.basename, found)))


def test_order__iterdir(repro):
    repro.record(names=",".join(path.name for path in Path(DATA).iterdir()))


def test_order__rglob(repro):
    repro.record(names=",".join(path.name for path in Path(DATA).rglob("*.txt")))


def test_order__scandir(repro):
    with os.scandir(DATA) as entries:
        repro.record(names=",".join(entry.name for entry in entries))


def test_order__walk(repro):
    repro.record(names=",".join(name for _, _, files in os.walk(DATA) for name in files))


def test_order__samples_shuffled_with_a_seed_after_listing(repro):
    files = os.listdir(DATA)
    repro.record(epoch=",".join(files[i] for i in torch.randperm(len(files))))


@EXACT
def test_threads__sum(repro):
    repro.record(sums=torch.stack([part.sum() for part in parts()]))


@EXACT
def test_threads__mean_of_a_million(repro):
    repro.record(means=torch.stack([part.mean() for part in parts(1_000_000, 6)]))


@EXACT
def test_threads__loss(repro):
    losses = [torch.nn.functional.mse_loss(part, torch.zeros_like(part)) for part in parts()]
    repro.record(losses=torch.stack(losses))


def test_memory__torch_empty_read_before_written(repro):
    repro.record(bias=torch.empty(8))


def test_memory__empty_like_that_is_added_to(repro):
    total = torch.empty_like(torch.ones(8))
    for step in range(3):
        total += step
    repro.record(total=total)


def test_memory__new_empty_with_an_unwritten_row(repro):
    padded = torch.ones(3).new_empty(4, 3)
    padded[:3] = 1
    repro.record(padded=padded)


def test_memory__numpy_empty_with_an_unwritten_end(repro):
    buffer = np.empty(5_000_000)  # beyond every allocator's cache: fresh pages, which hold zeros
    buffer[:1000] = 1
    repro.record(end=buffer[-8:].copy())
"""


@pytest.fixture
def sick(project: Project) -> Project:
    """A project in which every test depends on one axis of stress."""
    pytest.importorskip("torch")
    pytest.importorskip("torch._dynamo")
    data = project.pytester.mkdir("data")
    for number in range(100):
        (data / f"{number * 7919 % 1000:03}.txt").touch()
    project.write(test_it=SOURCE)
    return project


def differing(result: Result) -> dict[str, set[str]]:
    """The axes with a mismatch, by test."""
    found: dict[str, set[str]] = defaultdict(set)
    for test in result.report["tests"]:
        name = test["nodeid"].split("::", 1)[1]
        found[name].update(each["axis"] for each in test.get("mismatches", ()))
    return dict(found)


def test_five_runs_in_one_process_find_nothing(sick: Project) -> None:
    assert set(sick.again("--repro-runs=5").verdicts.values()) == {"reproduced"}


def test_two_runs_under_stress_find_each_axis(sick: Project) -> None:
    result = sick.again("--repro-vary=stress", "--repro-runs=2", "--repro-diagnose=never")
    assert set(result.verdicts.values()) == {"diverged"}
    found = differing(result)
    assert found == {name: {name.removeprefix("test_").split("__")[0]} for name in found}
    assert len(found) == SOURCE.count("\ndef test_")
    assert set().union(*found.values()) == {"process", "order", "threads", "memory"}
