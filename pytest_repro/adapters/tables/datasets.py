"""datasets (Hugging Face): Dataset, DatasetDict.

Seeded: nothing of its own: `shuffle()` without a seed draws from numpy's global generator, which is seeded.
Restored: nothing.
Switches: none.
Read: By the Arrow columns, in the order that `select()` and `shuffle()` left: `dataset['text']`, and the
features as `dataset.features`; a DatasetDict by its splits.
Captured: datasets and dicts of them.
Environment: its version.
Limits: An IterableDataset is refused: record `list(dataset.take(n))`. Format, fingerprint, split and cache
files are not compared. Images and audio are compared as they are stored.
"""

from __future__ import annotations

from typing import Any

import datasets  # or a module of the user with this name

from pytest_repro.adapters import Adapter, flatten
from pytest_repro.core.runs.observation import Parts, make_leaf
from pytest_repro.core.runs.pytree import FlattenResult

_ALTERNATIVE = "record a Dataset"


def _flatten_dataset(dataset: Any) -> FlattenResult:
    table = dataset.with_format("arrow")[:] if len(dataset) else dataset.data.table.slice(0, 0)
    found = flatten(table)
    if not isinstance(found, Parts):
        return found
    leaf = make_leaf("Features", str(dataset.features))
    kind = found.kind.replace("Table[", f"{type(dataset).__qualname__}[")
    return Parts(kind, (*found.items, (".features", leaf)), numeric=True)


_IS_HUGGING_FACE = hasattr(datasets, "IterableDatasetDict") and hasattr(datasets, "__version__")


class Datasets(Adapter):
    """Datasets, as tables."""

    def flatten(self, value: Any) -> FlattenResult:
        kind = type(value)
        if not _IS_HUGGING_FACE:
            return None
        if issubclass(kind, datasets.Dataset):
            return _flatten_dataset(value)
        if issubclass(kind, (datasets.IterableDataset, datasets.IterableDatasetDict)):
            return "is an IterableDataset, which has no values yet: record list(dataset.take(n))"
        if kind.__module__.partition(".")[0] != "datasets" or issubclass(kind, (type, dict)):
            return None
        return f"is a {kind.__module__}.{kind.__qualname__}: {_ALTERNATIVE}"

    def environment(self) -> dict[str, str]:
        return {"datasets": datasets.__version__} if _IS_HUGGING_FACE else {}


adapter = Datasets()
