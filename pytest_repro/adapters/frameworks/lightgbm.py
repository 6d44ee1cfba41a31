"""lightgbm: boosters, and the estimators of its scikit-learn interface.

Seeded: nothing of its own; `seed` or `random_state` of the parameters is 0 if it is not given.
Restored: nothing.
Switches: none can be set for all models. Pass `deterministic=True` and `force_row_wise=True` (or `force_col_wise=True`) to each: without them, sums depend on the number of threads, and the layout is chosen by a measurement.
Read: the text of the model, by path: `booster.trees[3].threshold[5]`, `booster.parameters['learning_rate']`; estimators by their parameters and attributes.
Captured: boosters and estimators.
Environment: version.
Limits: threads, files, network and verbosity are not compared. A `Dataset` is refused: record its data.
"""  # noqa: E501

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import lightgbm
import numpy as np

from pytest_repro.adapters import Adapter
from pytest_repro.adapters.frameworks._parts.booster_json import explain_dataset
from pytest_repro.core.runs.observation import Parts
from pytest_repro.core.runs.pytree import FlattenResult

_MACHINE = {
    "data", "valid", "num_threads", "verbosity", "num_machines", "local_listen_port", "time_out",
    "machine_list_filename", "machines", "gpu_platform_id", "gpu_device_id", "gpu_device_id_list", "num_gpu",
}  # fmt: skip
_WHOLE = {
    "num_leaves", "num_cat", "split_feature", "decision_type", "left_child", "right_child", "leaf_count",
    "internal_count", "is_linear", "cat_boundaries", "cat_threshold", "num_features", "leaf_features",
}  # fmt: skip
_NOT_HEAD = {"tree", "tree_sizes"}  # the first line, and bytes of text


class _Section(dict[str, Any]):
    """The lines of a tree."""


def _flatten_booster(booster: Any) -> Parts:
    text = booster.model_to_string(num_iteration=-1)  # all of them, not the best only
    return Parts(type(booster).__qualname__, _iter_model(booster, text), numeric=True)


def _iter_model(booster: Any, text: str) -> Iterator[tuple[str, object]]:
    head, *trees = re.split(r"^Tree=\d+\n", text.partition("\nend of trees")[0], flags=re.M)
    yield from ((f".{n}", value) for n, value in _iter_lines(head) if n not in _NOT_HEAD)
    for number, tree in enumerate(trees):
        yield f".trees[{number}]", _Section((name, _read_numbers(name, v)) for name, v in _iter_lines(tree))
    parameters = re.findall(r"^\[(\w+): (.*)\]$", text.partition("\nparameters:\n")[2], re.M)
    yield ".parameters", {name: value for name, value in parameters if name not in _MACHINE}
    yield ".pandas_categorical", text.rpartition("\npandas_categorical:")[2].strip()
    yield from ((".best_iteration", booster.best_iteration), (".best_score", dict(booster.best_score)))


def _iter_lines(text: str) -> Iterator[tuple[str, str]]:
    for line in filter(None, text.splitlines()):
        name, _, value = line.partition("=")
        yield name, value


def _read_numbers(name: str, text: str) -> object:
    try:
        return np.array(text.split(), np.int64 if name in _WHOLE else np.float64)
    except ValueError:
        return text


class Lightgbm(Adapter):
    """Boosters by the text of their model."""

    def flatten(self, value: Any) -> FlattenResult:
        kind: Any = type(value)
        if kind is _Section:
            return Parts("tree", [(f".{name}", part) for name, part in value.items()])
        if issubclass(kind, lightgbm.Booster):
            return _flatten_booster(value)
        return explain_dataset(kind) if issubclass(kind, lightgbm.Dataset) else None

    def kind_name(self, value: object) -> str:
        return "booster" if issubclass(type(value), lightgbm.Booster) else ""

    def environment(self) -> dict[str, str]:
        return {"lightgbm": lightgbm.__version__}


adapter = Lightgbm()
