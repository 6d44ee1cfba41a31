"""Whether an estimator is reproducible: what is compared, what is named as the reason."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Ridge, SGDClassifier
from sklearn.manifold import MDS
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import pytest_repro
from pytest_repro import NotReproducible, assert_estimator_reproducible
from tests.conftest import Project

X: Any = np.random.RandomState(0).rand(40, 3)
Y: Any = (X[:, 0] > 0.5).astype(int)


class Base(BaseEstimator):  # type: ignore[misc]
    def fit(self, X: Any, y: Any = None) -> Any:
        self.coef_ = self.compute()
        return self

    def compute(self) -> Any:
        return np.arange(3)


class Entropy(Base):
    def compute(self) -> Any:
        return np.random.default_rng().normal(size=3)


class GlobalDraws(Base):
    def compute(self) -> Any:
        return np.random.normal(size=3)


class Keeps(Base):
    def compute(self) -> Any:
        return getattr(self, "coef_", 0) + 1


class Changes(Base):
    def fit(self, X: Any, y: Any = None) -> Any:
        X += 1
        return super().fit(X)


def diverge(estimator: Any, process: bool = False, **arguments: Any) -> NotReproducible:
    with pytest.raises(NotReproducible) as caught:
        assert_estimator_reproducible(estimator, X, Y, process=process, **arguments)
    return caught.value


def test_sound_estimators_pass_and_are_not_changed() -> None:
    forest = RandomForestClassifier(3, random_state=0)
    verdict = assert_estimator_reproducible(make_pipeline(StandardScaler(), forest), X, Y)
    axes = [run.axis for run in verdict.runs]
    assert axes == ["repeat", "refit", "clone", "threads", "threads", "process"]
    assert not hasattr(forest, "estimators_")
    before = X.copy()
    assert_estimator_reproducible(Changes(), X, process=False)
    assert np.array_equal(X, before)


def test_the_report_names_parameter_attribute_and_largest_difference() -> None:
    error = diverge(RandomForestClassifier(3), threads=None)
    lines = str(error).splitlines()
    assert lines[0] == "RandomForestClassifier is not reproducible (bit for bit)"
    assert lines[2].startswith("  fit again   model.estimators_[0].random_state and ")
    assert lines[3].startswith("  clone       model.estimators_[0].random_state and ")
    assert lines[5] == "  model.estimators_[0].random_state   int"
    assert lines[8].startswith("  largest    model.")
    assert lines[-4] == "  cause      os-entropy"
    reason = f"{lines[-3].strip()} {lines[-2].strip()}"
    drawn = "each fit draws other numbers from numpy's global generator"
    assert reason == f"random_state (RandomForestClassifier) is None: {drawn}"
    assert lines[-1] == "  fix        pass an integer: set_params(random_state=0)"
    assert error.verdict.cause is not None
    assert {m.axis for m in error.verdict.mismatches} == {"refit", "clone"}


@pytest.mark.parametrize(
    ("estimator", "cause", "named"),
    [
        (
            make_pipeline(StandardScaler(), RandomForestClassifier(2)),
            "os-entropy",
            "randomforestclassifier__random_state (RandomForestClassifier)",
        ),
        (
            GridSearchCV(Ridge(), {"alpha": [1, 9]}, cv=KFold(3, shuffle=True)),
            "os-entropy",
            "cv.random_state (KFold) is None",
        ),
        (RandomForestClassifier(2, random_state=np.random.RandomState(0)), "shared-state", "random_state"),
        (SGDClassifier(warm_start=True, random_state=0, max_iter=3, tol=None), "shared-state", "warm_start"),
        (Keeps(), "shared-state", "keeps something of the first"),
        (GlobalDraws(), "os-entropy", "draws from a global generator, whatever the parameters"),
        (Entropy(), "os-entropy", "default_rng() draws its seed"),
    ],
)
def test_reasons(estimator: Any, cause: str, named: str) -> None:
    found = diverge(estimator, threads=None).verdict.cause
    assert found is not None
    assert found.name == cause
    assert named in found.explanation


@pytest.mark.filterwarnings("ignore")
def test_jobs_of_an_estimator_that_draw_other_numbers() -> None:
    """MDS seeds each start in another way with one job and with more."""
    error = diverge(MDS(random_state=0, n_init=4, init="random", normalized_stress="auto"), threads=(1, 3))
    assert [m.value for m in error.verdict.mismatches if m.name == "model.embedding_"] == [3]
    assert error.verdict.cause is not None
    assert error.verdict.cause.name == "threads"
    assert "  1 thread          equal\n" in str(error)
    assert "  3 threads again   equal to the first with them\n" in str(error)


WORDS = """
class Words:
    def get_params(self, deep=True):
        return {}

    def fit(self, X, y=None):
        self.words_ = list({"a", "bb", "ccc", "dddd", "eeeee", "ffffff"})
        return self
"""
MAIN = """
import words
from pytest_repro import NotReproducible, assert_estimator_reproducible
try:
    assert_estimator_reproducible(words.Words(), [[0.0]])
except NotReproducible as error:
    print({m.axis for m in error.verdict.mismatches}, error.verdict.cause)
"""


def test_another_interpreter_has_other_orders(tmp_path: Path) -> None:
    (tmp_path / "words.py").write_text(WORDS)
    (tmp_path / "main.py").write_text(MAIN)
    environ = {**os.environ, "PYTHONPATH": str(Path(pytest_repro.__file__).parents[1])}
    run = subprocess.run(
        [sys.executable, "main.py"], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True
    )
    assert run.stdout.startswith("{'process'} Finding(name='hash-seed'"), run.stdout + run.stderr
    assert "words.py:7" in run.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"estimator": Ridge},
            "estimator: expected an object with fit() and get_params(), not the class Ridge",
        ),
        ({"estimator": 3}, "estimator: expected an object with fit() and get_params(), not int"),
        ({"threads": 0}, "threads=0: expected numbers of threads, 1 or more, or None"),
        ({"refit": False, "clone": False, "threads": None, "process": False}, "are all off"),
        ({"estimator": FunctionTransformer(lambda rows: rows), "process": True}, "pass process=False"),
        ({"rtol": 1.0}, "atol"),
    ],
)
def test_invalid_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        assert_estimator_reproducible(**{"estimator": Ridge(), "X": X, "y": Y, "process": False, **arguments})
    assert message in str(caught.value)


def test_what_cannot_be_compared_is_named() -> None:
    class Locks(Base):
        def compute(self) -> Any:
            return threading.Lock()

    with pytest.raises(TypeError, match=r"result\['model'\]\.coef_ is a _thread\.lock"):
        assert_estimator_reproducible(Locks(), X, process=False)


def test_is_diverged_in_a_marked_test_and_counts_as_observed(project: Project) -> None:
    result = project(
        """
        from sklearn.linear_model import Ridge
        from sklearn.ensemble import RandomForestRegressor
        from pytest_repro import assert_estimator_reproducible
        X, y = [[0.0], [1.0], [3.0]] * 4, [0.0, 1.0, 2.0] * 4

        def test_sound(repro):
            assert_estimator_reproducible(Ridge(), X, y, process=False)

        def test_random(repro):
            assert_estimator_reproducible(RandomForestRegressor(2), X, y, process=False)
        """
    )
    assert result.verdicts == {"test_sound": "reproduced", "test_random": "diverged"}
    cause = result.report["tests"][1]["cause"]
    assert (cause["name"], cause["fix"]) == ("os-entropy", "pass an integer: set_params(random_state=0)")
