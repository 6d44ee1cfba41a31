"""scikit-learn: what of an estimator is compared, and under which path."""

from __future__ import annotations

import functools
import threading
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

import sklearn
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.neighbors import BallTree, KDTree
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from pytest_repro import deterministic, digest
from pytest_repro.adapters import active_adapters, flatten
from pytest_repro.core.runs.pytree import LocalsBudget, iter_leaves, iter_numeric_leaves
from tests.conftest import Project

X: Any = np.random.RandomState(0).rand(30, 3)
Y: Any = (X[:, 0] > 0.5).astype(int)


def paths(value: Any) -> list[str]:
    return [path for path, *_ in iter_leaves(value, "model", flatten)]


def test_paths_are_what_users_write() -> None:
    forest = RandomForestClassifier(3, random_state=0).fit(X, Y)
    model = make_pipeline(StandardScaler(), forest).fit(X, Y)
    booster = GradientBoostingRegressor(n_estimators=2, random_state=0).fit(X, Y)
    for path in (".estimators_[2].tree_.threshold", ".estimators_[2].tree_.value", ".max_depth"):
        assert path in paths(forest)
        eval(f"value{path}", {"value": forest})
    assert {"['standardscaler'].mean_", "['randomforestclassifier'].n_estimators"} <= {*paths(model)}
    assert ".estimators_[1, 0].tree_.feature" in paths(booster)
    assert ".coef_" in paths(LogisticRegression().fit(X, Y))


def test_parameters_and_attributes_count_and_threads_do_not() -> None:
    model = Ridge(alpha=0.5).fit(X, Y)
    before = digest(model)
    model.coef_[1] = np.nextafter(model.coef_[1], 1)
    assert digest(model) != before
    assert digest(Ridge(alpha=1)) != digest(Ridge(alpha=2)) != digest(LogisticRegression())
    forests = [RandomForestClassifier(3, n_jobs=n, verbose=0, random_state=0).fit(X, Y) for n in (1, 2)]
    assert digest(forests[0]) == digest(forests[1])


def test_durations_of_a_search_are_no_values() -> None:
    search = GridSearchCV(Ridge(), {"alpha": [0.1, 1]}, cv=KFold(2)).fit(X, Y)
    before = digest(search)
    search.cv_results_["mean_fit_time"] += 1
    search.refit_time_ += 1
    assert digest(search) == before
    search.cv_results_["mean_test_score"][0] += 1
    assert digest(search) != before


def add(rows: Any, number: int = 1) -> Any:
    return rows + number


def test_functions_are_read_by_name_or_code() -> None:
    def make(number: int) -> Any:
        return lambda rows: rows + number

    def read(function: Any) -> str:
        return digest(FunctionTransformer(function))

    assert read(make(1)) == read(make(1)) != read(make(2))
    assert read(lambda rows: rows + 1) != read(lambda rows: rows + 2)
    assert read(add) == read(add) != read(np.log1p) != read(np.log)
    assert read(functools.partial(add, number=1)) != read(functools.partial(add, number=2))


class Holder(BaseEstimator):  # type: ignore[misc]
    def __init__(self, part: object = None) -> None:
        self.part = part


def test_other_objects_are_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"^value\.part is a _thread\.lock, which cannot be read as part of"):
        digest(Holder(threading.Lock()))
    holder = Holder()
    holder.part = holder
    assert digest(holder) == digest(holder)  # a cycle


def test_trees_of_neighbours_words_and_frames() -> None:
    assert digest(KDTree(X)) == digest(KDTree(X)) != digest(BallTree(X)) != digest(BallTree(X + 1))
    words = [f"w{i} x{i}" for i in range(800)]
    first, second = CountVectorizer().fit(words), CountVectorizer().fit([*words, "more"])
    assert paths(first) == paths(second)  # a large vocabulary is two arrays
    assert digest(first) != digest(second)
    assert digest(OneHotEncoder().fit([["a"], ["b"]])) != digest(OneHotEncoder().fit([["a"], ["c"]]))
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"x": X[:, 0], "c": list("ab") * 15})
    columns = ColumnTransformer([("number", StandardScaler(), ["x"]), ("text", OneHotEncoder(), ["c"])])
    assert ".transformers_[0][1].mean_" in paths(columns.fit(frame))


def test_local_variables_are_captured() -> None:
    budget = LocalsBudget()
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)
    found = [path for path, *_ in iter_numeric_leaves(model, "model", flatten, budget)]
    assert "['logisticregression'].coef_" in found
    assert budget.skipped == []
    nothing = [*iter_numeric_leaves(sklearn.utils.Bunch(text="a"), "bunch", flatten, budget)]
    assert nothing == []


def test_settings_are_restored() -> None:
    before = sklearn.get_config()
    with pytest.raises(KeyboardInterrupt), deterministic():
        sklearn.set_config(working_memory=3)
        raise KeyboardInterrupt
    assert sklearn.get_config() == before
    adapter = active_adapters()["sklearn"]
    name = "sklearn.get_config()['working_memory']"
    assert dict(adapter.switch_values())[name] == before["working_memory"]
    with sklearn.config_context():
        assert adapter.set_switch(name, 5)
        assert adapter.flags()["scikit-learn working_memory"] == "5"
    assert not adapter.set_switch("sklearn", 1)


def test_a_setting_of_an_imported_module_outlives_the_run() -> None:
    adapter, before = active_adapters()["sklearn"], sklearn.get_config()
    try:
        with adapter.deterministic(True), adapter.leave_switches(()):
            sklearn.set_config(working_memory=7)
        assert sklearn.get_config()["working_memory"] == 7
    finally:
        sklearn.set_config(**before)


FOREST = """
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

def test_forest():
    rng = np.random.default_rng()
    x, y = np.arange(80.0).reshape(40, 2), np.arange(40) % 3
    forest = RandomForestClassifier(3, random_state=np.random.RandomState(rng.integers(9**9))).fit(x, y)

def test_split(repro):
    np.random.seed()
    repro.record(train=train_test_split(np.arange(50))[0])

def test_none(repro):
    repro.record(model=RandomForestClassifier(2, random_state=None).fit([[0.0], [1.0]] * 9, [0, 1] * 9))
"""


def test_unseeded_forests_and_splits_are_found(project: Project) -> None:
    result = project(
        FOREST, "--repro-all", "--repro-unseeded=warn", "--repro-diagnose=always", "-W", "ignore"
    )
    assert result.verdicts == {"test_forest": "diverged", "test_split": "diverged", "test_none": "reproduced"}
    forest, split, seeded = result.report["tests"]
    assert [row["cause"]["name"] for row in (forest, split)] == ["os-entropy"] * 2
    assert [row["cause"]["location"] for row in (forest, split)] == ["test_it.py:6", "test_it.py:11"]
    assert any(each["name"].startswith("locals.forest.estimators_[0]") for each in forest["mismatches"])
    (drawn,) = seeded["unseeded"]
    assert (drawn["generator"], drawn["location"]) == ("numpy", "test_it.py:15")
