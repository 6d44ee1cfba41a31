"""catboost: models and their estimators.

Seeded: nothing of its own; `random_seed` of the parameters is 0 if it is not given.
Restored: nothing.
Switches: none; `thread_count` and `task_type` are parameters of the model. Training on a GPU is not deterministic.
Read: the model as JSON, by path: `model.oblivious_trees[3]['leaf_values'][5]`; parameters: `model.parameters['depth']`.
Captured: models.
Environment: version.
Limits: threads, logging, files, times and the GUID of a model are not compared. Models with text or embedding features have no JSON and are refused, as is a `Pool`: record its data.
"""  # noqa: E501

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import catboost

from pytest_repro.adapters import Adapter
from pytest_repro.adapters.frameworks._parts.booster_json import explain_dataset, make_model, read_json
from pytest_repro.core.runs.observation import Parts
from pytest_repro.core.runs.pytree import FlattenResult

_MACHINE = {
    "catboost_version_info", "model_guid", "train_finish_time", "output_options", "system_options",
    "logging_level", "detailed_profile", "flat_params", "verbose", "silent", "thread_count", "train_dir",
    "allow_writing_files", "used_ram_limit", "metric_period", "verbose_eval",
}  # fmt: skip


@contextmanager
def _temporary_path() -> Iterator[str]:
    """A file to write to; in memory where Linux has that: no name is drawn and no disk is touched."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("model")
        try:
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield os.path.join(folder, "model.json")


def _export(model: Any) -> dict[str, Any] | str:
    """The model as JSON; why there is none."""
    with _temporary_path() as path:
        try:
            model.save_model(path, format="json")
        except catboost.CatBoostError as error:
            why = f"cannot be written as JSON: {error}: record its predictions"
            return f"is a {type(model).__qualname__} that {why}"
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    info = found["model_info"]
    training = info.get("training")
    if isinstance(training, str):  # JSON in JSON
        info["training"] = json.loads(training)
    assert isinstance(found, dict)
    return found


def _flatten_model(model: Any) -> Parts | str:
    parameters = {name: part for name, part in model.get_params().items() if name not in _MACHINE}
    found = _export(model) if model.is_fitted() else {}
    if isinstance(found, str):
        return found
    read: Any = read_json(found, "float64", all_floats=True)
    return make_model(type(model).__qualname__, {**read, "parameters": parameters}, _MACHINE)


class Catboost(Adapter):
    """Models by their JSON."""

    def flatten(self, value: Any) -> FlattenResult:
        kind: Any = type(value)
        if issubclass(kind, catboost.CatBoost):
            return _flatten_model(value)
        return explain_dataset(kind) if issubclass(kind, catboost.Pool) else None

    def kind_name(self, value: object) -> str:
        return "booster" if issubclass(type(value), catboost.CatBoost) else ""

    def environment(self) -> dict[str, str]:
        return {"catboost": catboost.__version__}


adapter = Catboost()
