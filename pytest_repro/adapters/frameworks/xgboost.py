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
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import xgboost

from pytest_repro.adapters import Adapter
from pytest_repro.adapters.frameworks._boosters.json_values import explain_dataset, make_model, read_json
from pytest_repro.core.plan.plan import Deterministic
from pytest_repro.core.runs.observation import Parts
from pytest_repro.core.runs.pytree import FlattenResult

_MACHINE = {
    "n_jobs", "nthread", "device", "gpu_id", "fail_on_invalid_gpu_id", "validate_parameters", "verbosity",
    "version",
}  # fmt: skip
_active_blocks: dict[int, dict[str, Any]] = {}  # settings to restore


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


class Xgboost(Adapter):
    """Boosters by the JSON of their model."""

    def flatten(self, value: Any) -> FlattenResult:
        kind: Any = type(value)
        if issubclass(kind, xgboost.Booster):
            return _flatten_booster(value)
        return explain_dataset(kind) if issubclass(kind, xgboost.DMatrix) else None

    def kind_name(self, value: object) -> str:
        return "booster" if issubclass(type(value), xgboost.Booster) else ""

    @contextmanager
    def deterministic(self, mode: Deterministic) -> Iterator[None]:
        saved = xgboost.get_config()
        _active_blocks[id(saved)] = saved
        try:
            yield
        finally:
            del _active_blocks[id(saved)]
            if xgboost.get_config() != saved:
                xgboost.set_config(**saved)

    @contextmanager
    def leave_switches(self, varied: Collection[str]) -> Iterator[None]:
        before = xgboost.get_config()
        try:
            yield
        finally:
            changes = {
                name: value for name, value in xgboost.get_config().items() if value != before.get(name)
            }
            for saved in _active_blocks.values():
                saved.update(changes)

    def environment(self) -> dict[str, str]:
        return {"xgboost": xgboost.__version__, "xgboost cuda": _read_cuda()}

    def switch_values(self) -> Iterable[tuple[str, object]]:
        return [(f"xgboost.get_config()[{name!r}]", value) for name, value in xgboost.get_config().items()]

    def set_switch(self, name: str, value: object) -> bool:
        setting = name.removeprefix("xgboost.get_config()['").removesuffix("']")
        if setting == name:
            return False
        xgboost.set_config(**{setting: value})
        return True


@cache
def _read_cuda() -> str:
    return str(xgboost.build_info().get("USE_CUDA", "unknown"))


adapter = Xgboost()
