"""Parameters of estimators that decide whether a fit can be repeated: seeds, threads, warm starts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone as clone

_SEEDS = ("random_state", "seed", "random_seed")
_THREADS = ("n_jobs", "nthread", "num_threads", "thread_count")
_BOOSTERS = {"catboost": "thread_count", "lightgbm": "n_jobs", "xgboost": "n_jobs"}
"""Libraries that use all cores unless this parameter says another number."""

_GENERATORS = (np.random.RandomState, np.random.Generator)


class Parameter(NamedTuple):
    """A parameter of an estimator or of what it holds."""

    path: str  # as ``set_params`` takes it, ``clf__random_state``; ``cv.random_state`` of a splitter
    value: Any
    owner: str  # the class that has it: ``"RandomForestClassifier"``

    @property
    def name(self) -> str:
        """The name without those of the estimators around it."""
        return self.path.rpartition("__")[2].rpartition(".")[2]


def iter_parameters(estimator: Any) -> Iterator[Parameter]:
    """All parameters, and those of the splitters and kernels that are parameters."""
    parameters = {"": estimator, **estimator.get_params(deep=True)}
    for path, value in parameters.items():
        if path:
            owner = parameters.get(path.rpartition("__")[0], estimator)
            yield Parameter(path, value, type(owner).__name__)
        if type(value).__module__.startswith("sklearn.") and not hasattr(value, "get_params"):
            attributes = getattr(value, "__dict__", {})
            yield from (Parameter(f"{path}.{n}", v, type(value).__name__) for n, v in attributes.items())


def set_parameter(estimator: Any, path: str, value: object) -> None:
    """Sets the parameter at :attr:`Parameter.path`."""
    holder, _, attribute = path.rpartition(".")
    if holder:
        setattr(estimator.get_params(deep=True)[holder], attribute, value)
    else:
        estimator.set_params(**{path: value})


def list_unseeded(estimator: Any) -> list[Parameter]:
    """The parameters that are None where a seed could be."""
    return [each for each in iter_parameters(estimator) if each.name in _SEEDS and each.value is None]


def list_moving(estimator: Any) -> list[Parameter]:
    """The parameters with which a second fit begins where the first ended: generators, warm starts."""
    return [
        each
        for each in iter_parameters(estimator)
        if isinstance(each.value, _GENERATORS) or (each.name == "warm_start" and each.value is True)
    ]


def copy_with(estimator: Any, parameters: dict[str, object]) -> Any:
    """An unfitted copy with other *parameters*, by path."""
    copied = clone(estimator)
    for path, value in parameters.items():
        set_parameter(copied, path, value)
    return copied


def copy_with_threads(estimator: Any, number: int) -> Any:
    """An unfitted copy whose parameters ask for *number* threads, where they ask for any."""
    named = [each for each in iter_parameters(estimator) if each.name in _THREADS and each.value is not None]
    copied = copy_with(estimator, {each.path: number for each in named})
    for part in (copied, *copied.get_params(deep=True).values()):
        parameter = _BOOSTERS.get(type(part).__module__.partition(".")[0])
        if parameter and hasattr(part, "set_params"):
            part.set_params(**{parameter: number})
    return copied


@contextmanager
def thread_limit(number: int) -> Iterator[None]:
    """In the block, BLAS, OpenMP and joblib use *number* threads, and joblib no processes."""
    control, joblib = sys.modules["threadpoolctl"], sys.modules["joblib"]
    with control.threadpool_limits(number), joblib.parallel_config(backend="threading", n_jobs=number):
        yield
