"""Every estimator of scikit-learn, fitted on small data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("sklearn.utils._test_common.instance_generator")

from sklearn.base import clone
from sklearn.utils import all_estimators
from sklearn.utils._test_common.instance_generator import _construct_instances
from sklearn.utils.estimator_checks import _enforce_estimator_tags_X, _enforce_estimator_tags_y
from threadpoolctl import threadpool_limits

from pytest_repro import digest

pytestmark = pytest.mark.filterwarnings("ignore")

CLASSES = dict(all_estimators())
DATA: Any = np.random.RandomState(0).rand(40, 4)
LABELS: Any = (DATA[:, 0] + 0.3 * np.random.RandomState(1).rand(40) > 0.6).astype(int)
TEXTS = ["a rose is a rose", "a dog", "no rose"] * 5
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(["CountVectorizer", "HashingVectorizer", "TfidfVectorizer"], (TEXTS,)),
    **dict.fromkeys(["DictVectorizer"], ([{"a": 1.0, "b": "x"}, {"a": 2.0}],)),
    "FeatureHasher": ([{"a": 1}],),
    **dict.fromkeys(["LabelBinarizer", "LabelEncoder"], (LABELS,)),
    "MultiLabelBinarizer": ([[0], [1, 2]],),
    "PatchExtractor": (np.zeros((2, 8, 8)),),
    "SparseCoder": (DATA[:, :3],),
}
RANDOM = {
    "BaggingClassifier", "BernoulliRBM", "DictionaryLearning", "ExtraTreesRegressor", "FastICA",
    "IsolationForest", "KMeans", "LatentDirichletAllocation", "MLPClassifier", "MiniBatchKMeans",
    "RBFSampler", "RandomForestClassifier", "RandomForestRegressor", "SGDClassifier",
}  # fmt: skip
"""Some that draw numbers for this data."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with threadpool_limits(1):
        yield


def make(name: str) -> Any:
    if name == "FrozenEstimator":
        return CLASSES[name](CLASSES["Ridge"]().fit(DATA, LABELS))
    return next(iter(_construct_instances(CLASSES[name])))


def fit(estimator: Any, seed: int) -> Any:
    fitted = clone(estimator)
    if "random_state" in fitted.get_params():
        fitted.set_params(random_state=seed)
    arguments = ARGUMENTS.get(type(fitted).__name__)
    if arguments is None:
        data = _enforce_estimator_tags_X(fitted, DATA)
        arguments = (data, _enforce_estimator_tags_y(fitted, LABELS.copy()))
    fitted.fit(*arguments)
    return fitted.set_params(random_state=0) if "random_state" in fitted.get_params() else fitted


@pytest.mark.parametrize("name", CLASSES)
def test_equal_fits_have_equal_digests(name: str) -> None:
    estimator = make(name)
    assert digest(estimator) == digest(clone(estimator)) or name == "FrozenEstimator"
    reference = digest(fit(estimator, 0))
    assert digest(fit(estimator, 0)) == reference
    assert name not in RANDOM or digest(fit(estimator, 1)) != reference
