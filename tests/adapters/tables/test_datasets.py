"""Datasets of Hugging Face, by their Arrow columns in the order that they show."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_repro.adapters import digest, flatten, seed_all
from pytest_repro.core.runs.pytree import iter_leaves
from tests.conftest import Project

datasets: Any = pytest.importorskip("datasets")


def make_dataset(count: int = 6) -> Any:
    return datasets.Dataset.from_dict({"text": [f"t{i}" for i in range(count)], "label": list(range(count))})


def test_paths_and_order() -> None:
    dataset = make_dataset()
    paths = [path for path, _, _ in iter_leaves(datasets.DatasetDict(train=dataset), "", flatten)]
    assert paths == [
        "['train'].column_names", "['train']['text']", "['train']['label']", "['train']['label'].is_null()",
        "['train'].features",
    ]  # fmt: skip
    backwards = dataset.select(range(5, -1, -1))
    assert digest(backwards) != digest(dataset) == digest(backwards.select(range(5, -1, -1)))
    assert digest(dataset.select([1, 3])) == digest(dataset.select([1, 3]).flatten_indices())


def test_formats_and_fingerprints_are_no_values() -> None:
    dataset = make_dataset()
    assert digest(dataset) == digest(dataset.with_format("numpy")) == digest(dataset.map(lambda row: row))
    joined = datasets.concatenate_datasets([dataset.select(range(2)), dataset.select(range(2, 6))])
    assert digest(joined) == digest(dataset)
    assert digest(make_dataset(0)) != digest(dataset)
    assert digest(dataset.cast_column("label", datasets.Value("int32"))) != digest(dataset)


def test_an_unseeded_shuffle_follows_the_seed_of_numpy() -> None:
    orders = []
    for seed in (0, 0, 1):
        seed_all(seed)
        orders.append(digest(make_dataset(50).shuffle()))
    assert orders[0] == orders[1] != orders[2]


def test_a_module_of_the_user_may_have_this_name(project: Project) -> None:
    project.write(datasets="class Dataset:\n    pass\n")
    source = """
        import datasets

        def test_it(repro):
            assert datasets.Dataset()
            repro.record(x=1)
    """
    project(source, "-p", "no:randomly", subprocess=True).check(passed=1)


def test_what_has_no_values_yet_is_refused() -> None:
    with pytest.raises(
        TypeError, match=r"^value is an IterableDataset, which has no values yet: record list"
    ):
        digest(make_dataset().to_iterable_dataset())
