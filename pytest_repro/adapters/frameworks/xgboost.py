"""xgboost: boosters, and the estimators of its scikit-learn interface.

Seeded: nothing of its own; `seed` or `random_state` of the parameters is 0 if it is not given.
Restored: the settings of `xgboost.set_config`, after each test.
Switches: none; `nthread` and `n_jobs` are parameters of the model.
Read: the model as JSON, by path: `booster.trees[3]['split_conditions'][5]`, `booster.config['learner']`; estimators by their parameters and attributes.
Captured: boosters and estimators.
Environment: version, and whether it is built with CUDA.
Limits: threads, device and verbosity are not compared. A `DMatrix` is refused: record its data.
"""  # noqa: E501

from __future__ import annotations

import json
from functools import cache
from typing import Any

import xgboost

from pytest_repro.adapters.frameworks._parts.booster_json import explain_dataset, make_model, read_json
from pytest_repro.adapters.frameworks._parts.restored_settings import ConfiguredAdapter
from pytest_repro.core.runs.observation import Parts
from pytest_repro.core.runs.pytree import FlattenResult

_MACHINE = {
    "n_jobs", "nthread", "device", "gpu_id", "fail_on_invalid_gpu_id", "validate_parameters", "verbosity",
    "version",
}  # fmt: skip


def _flatten_booster(booster: Any) -> Parts:
    model = json.loads(bytes(booster.save_raw("json")))
    trees = _take_trees(model["learner"]["gradient_booster"])
    config = json.loads(booster.save_config())
    tree = {"trees": trees, "learner": model["learner"], "config": config}
    return make_model(type(booster).__qualname__, read_json(tree, "float32"), _MACHINE)  # type: ignore[arg-type]


def _take_trees(gradient_booster: dict[str, Any]) -> list[Any]:
    """Removes the trees from the model, where they are deeply nested; none of a linear model."""
    inner = gradient_booster.get("gbtree", gradient_booster)  # of DART
    return list(inner["model"].pop("trees", []))


class Xgboost(ConfiguredAdapter):
    """Boosters by the JSON of their model."""

    def flatten(self, value: Any) -> FlattenResult:
        kind: Any = type(value)
        if issubclass(kind, xgboost.Booster):
            return _flatten_booster(value)
        return explain_dataset(kind) if issubclass(kind, xgboost.DMatrix) else None

    def kind_name(self, value: object) -> str:
        return "booster" if issubclass(type(value), xgboost.Booster) else ""

    def environment(self) -> dict[str, str]:
        return {"xgboost": xgboost.__version__, "xgboost cuda": _read_cuda()}


@cache
def _read_cuda() -> str:
    return str(xgboost.build_info().get("USE_CUDA", "unknown"))


adapter = Xgboost(xgboost)
