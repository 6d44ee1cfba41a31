"""Gradient boosting: models by their text or JSON, without what belongs to the machine."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from pytest_repro import digest
from pytest_repro.adapters import active_adapters, flatten
from pytest_repro.core.runs.pytree import iter_leaves
from tests.conftest import Project

pytestmark = pytest.mark.filterwarnings("ignore")

X: Any = np.random.RandomState(0).rand(200, 4)
Y: Any = (X[:, 0] + 0.2 * X[:, 1] > 0.6).astype(int)


def fit_lightgbm(**parameters: Any) -> Any:
    module = import_module("lightgbm")
    named = {"n_estimators": 3, "num_leaves": 4, "verbose": -1, "n_jobs": 1, **parameters}
    return module.LGBMClassifier(**named).fit(X, Y)


def fit_xgboost(**parameters: Any) -> Any:
    module = import_module("xgboost")
    return module.XGBClassifier(**{"n_estimators": 3, "max_depth": 2, "n_jobs": 1, **parameters}).fit(X, Y)


def fit_catboost(**parameters: Any) -> Any:
    module = import_module("catboost")
    named = {"iterations": 3, "depth": 2, "verbose": 0, "allow_writing_files": False, "thread_count": 1}
    return module.CatBoostClassifier(**{**named, **parameters}).fit(X, Y)


FITS: dict[str, tuple[Callable[..., Any], str, str, str]] = {
    "lightgbm": (fit_lightgbm, "n_jobs", "learning_rate", "._Booster.trees[2].threshold"),
    "xgboost": (fit_xgboost, "n_jobs", "learning_rate", "._Booster.trees[2]['split_conditions']"),
    "catboost": (fit_catboost, "thread_count", "learning_rate", ".oblivious_trees[2]['leaf_values']"),
}


@pytest.mark.parametrize("name", FITS)
def test_models_are_compared_by_path_without_threads(name: str) -> None:
    pytest.importorskip(name)
    pytest.importorskip("sklearn")
    fit, threads, rate, path = FITS[name]
    model = fit()
    assert digest(model) == digest(fit(**{threads: 2})) != digest(fit(**{rate: 0.07}))
    leaves = {at: leaf for at, leaf, _ in iter_leaves(model, "model", flatten)}
    assert leaves[path].dtype.startswith("float")
    assert leaves[path].shape != ()
    assert name in active_adapters()[name].environment()


DATA_SETS = {"lightgbm": "Dataset", "xgboost": "DMatrix", "catboost": "Pool"}


@pytest.mark.parametrize("name", DATA_SETS)
def test_data_sets_are_refused(name: str) -> None:
    data = getattr(pytest.importorskip(name), DATA_SETS[name])(X, Y)
    with pytest.raises(TypeError, match="which keeps its data in a form of its own: record the data that"):
        digest(data)


def test_all_rounds_of_early_stopping_count() -> None:
    lightgbm = pytest.importorskip("lightgbm")
    named = {"objective": "regression", "verbose": -1, "num_threads": 1, "early_stopping_round": 2}
    valid = lightgbm.Dataset(X[100:], X[100:, 3])
    train = lightgbm.Dataset(X[:100], X[:100, 0])
    model = lightgbm.train(named, train, 20, valid_sets=[valid], keep_training_booster=True)
    trees = {path.split(".")[1] for path, *_ in iter_leaves(model, "m", flatten) if "trees[" in path}
    assert len(trees) == model.num_trees() > model.best_iteration > 0


LINEAR = {"booster": "gblinear", "updater": "coord_descent"}


@pytest.mark.parametrize("parameters", [{"booster": "dart"}, LINEAR])
def test_other_models_of_xgboost(parameters: dict[str, str]) -> None:
    pytest.importorskip("xgboost")
    assert digest(fit_xgboost(**parameters)) == digest(fit_xgboost(**parameters))


def test_settings_of_xgboost_are_restored() -> None:
    xgboost = pytest.importorskip("xgboost")
    before = xgboost.get_config()
    adapter = active_adapters()["xgboost"]
    with adapter.deterministic(True):
        xgboost.set_config(verbosity=0)
    assert xgboost.get_config() == before
    assert adapter.set_switch("xgboost.get_config()['verbosity']", before["verbosity"])


def test_models_with_text_features_are_refused() -> None:
    catboost = pytest.importorskip("catboost")
    model = catboost.CatBoostClassifier(iterations=2, verbose=0, allow_writing_files=False, thread_count=1)
    model.fit([["a b"], ["b c"]] * 30, [0, 1] * 30, text_features=[0])
    with pytest.raises(TypeError, match=r"cannot be written as JSON: .*: record its predictions"):
        digest(model)


def test_catboost_in_a_pipeline_is_read_by_its_own_adapter() -> None:
    pytest.importorskip("catboost")
    pipeline = pytest.importorskip("sklearn.pipeline").make_pipeline
    model = pipeline(import_module("sklearn.preprocessing").StandardScaler(), fit_catboost())
    paths = [path for path, *_ in iter_leaves(model, "model", flatten)]
    assert "['catboostclassifier'].oblivious_trees[0]['leaf_values']" in paths


def test_the_ordered_updater_of_linear_models_is_reproducible() -> None:
    """The default, shotgun, updates weights from several threads without locks."""
    xgboost = pytest.importorskip("xgboost")
    pytest.importorskip("sklearn")
    from pytest_repro import assert_estimator_reproducible

    assert_estimator_reproducible(xgboost.XGBRegressor(**LINEAR, n_estimators=3), X, Y, process=False)


def test_threads_of_lightgbm(project: Project) -> None:
    pytest.importorskip("lightgbm")
    result = project(
        """
        import lightgbm, numpy as np, pytest
        rng = np.random.default_rng(0)
        X = rng.random((200_000, 10))
        y = X[:, 0] + np.sin(5 * X[:, 1]) + 0.1 * rng.normal(size=len(X))

        @pytest.mark.reproducible(threads=(1, 2), rtol=0, atol=0)
        @pytest.mark.parametrize("deterministic", [False, True])
        def test_train(repro, deterministic):
            named = {"objective": "regression", "num_leaves": 7, "verbose": -1, "force_row_wise": True}
            named |= {"num_threads": repro.setting["threads"], "deterministic": deterministic}
            repro.record(model=lightgbm.train(named, lightgbm.Dataset(X, y), 3))
        """,
        "--repro-diagnose=always",
    )
    assert result.verdicts == {"test_train[False]": "diverged", "test_train[True]": "reproduced"}
    row = result.report["tests"][0]
    assert row["cause"]["name"] == "threads"
    assert {m["axis"] for m in row["mismatches"]} == {"threads"}
    assert all(m["name"].startswith("model.trees[") for m in row["mismatches"])
