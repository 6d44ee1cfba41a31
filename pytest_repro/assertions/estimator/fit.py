"""Fits an estimator and returns what is compared; another interpreter imports this module."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from importlib import import_module
from typing import Any

from pytest_repro.adapters import seed_all

METHODS = ("predict", "predict_proba", "decision_function", "score_samples", "transform")
"""Methods whose results on the data of the fit are compared, if an estimator has them."""


def fit_estimator(estimator: Any, X: Any, y: Any, fit_params: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Fits *estimator* to copies of the data, with every global generator seeded with *seed*.

    Returns:
        The estimator as ``model``, and the result of each of :data:`METHODS` that it has.
    """
    import_module("sklearn")  # whose adapter reads the estimator, in another interpreter as well
    seed_all(seed)
    data, target, named = deepcopy((X, y, dict(fit_params)))
    estimator.fit(data, **named) if y is None else estimator.fit(data, target, **named)
    seed_all(seed)
    found = {name: getattr(estimator, name) for name in METHODS if hasattr(estimator, name)}
    return {"model": estimator, **{name: method(deepcopy(X)) for name, method in found.items()}}
