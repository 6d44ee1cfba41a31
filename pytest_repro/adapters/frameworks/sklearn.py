"""scikit-learn: estimators, pipelines, trees, kernels, losses, splitters.

Seeded: nothing of its own. `random_state=None` draws from numpy's global generator, which is seeded.
Restored: the settings of `set_config`, after each test.
Switches: none. Sums over OpenMP threads follow the axis `threads`; `n_jobs` is a parameter of the estimator.
Read: parameters and all attributes by path: `model.coef_[3]`, `model.estimators_[2].tree_.threshold[5]`, `model['scale'].mean_`. Functions are read by name, lambdas by their code. Nothing is pickled.
Captured: estimators, trees and `KDTree`, with every attribute.
Environment: version, settings that change chunk sizes, OpenMP threads; with threadpoolctl, its libraries.
Limits: `n_jobs`, `pre_dispatch`, `verbose`, `memory` and the durations of a search (`refit_time_`, `mean_fit_time`, …) are not compared. Attributes of other libraries that no adapter knows are refused.
"""  # noqa: E501

from __future__ import annotations

import sys
from typing import Any

import sklearn

from pytest_repro.adapters.frameworks._parts.restored_settings import ConfiguredAdapter
from pytest_repro.adapters.frameworks._parts.sklearn_attributes import (
    Attribute,
    flatten_attribute,
    flatten_estimator,
    flatten_object,
    get_package,
    is_estimator,
)
from pytest_repro.core.machine import count_cores
from pytest_repro.core.runs.observation import Parts
from pytest_repro.core.runs.pytree import FlattenResult

_FLAGS = ("assume_finite", "working_memory", "pairwise_dist_chunk_size", "enable_cython_pairwise_dist")
_LIBRARIES = ("numpy", "scipy", "scikit_learn")


class Sklearn(ConfiguredAdapter):
    """Estimators of scikit-learn, and those that follow its API."""

    def flatten(self, value: Any) -> FlattenResult:
        kind: Any = type(value)
        if kind is Attribute:
            return flatten_attribute(value)
        if issubclass(kind, type):
            return None
        if is_estimator(kind):
            return flatten_estimator(Attribute(value))
        if get_package(kind) != "sklearn" or issubclass(kind, (dict, tuple, BaseException)):
            return None
        found = flatten_object(Attribute(value))
        is_tree = hasattr(kind, "children_left") or hasattr(kind, "get_tree_stats")
        return Parts(found.kind, found.items, numeric=is_tree) if isinstance(found, Parts) else found

    def kind_name(self, value: object) -> str:
        kind: Any = type(value)
        return "estimator" if is_estimator(kind) and not issubclass(kind, type) else ""

    def environment(self) -> dict[str, str]:
        libraries = _list_thread_libraries()
        threads = {"scikit-learn openmp threads": str(_count_openmp_threads())}
        return {"scikit-learn": sklearn.__version__, **threads, "scikit-learn libraries": libraries}

    def flags(self) -> dict[str, str]:
        config = sklearn.get_config()
        return {f"scikit-learn {name}": str(config.get(name)) for name in _FLAGS}


def _count_openmp_threads() -> int:
    helpers = sys.modules.get("sklearn.utils._openmp_helpers")
    return int(helpers._openmp_effective_n_threads()) if helpers is not None else count_cores()


def _list_thread_libraries() -> str:
    """BLAS and OpenMP of numpy, scipy and scikit-learn, as far as threadpoolctl knows them."""
    control = sys.modules.get("threadpoolctl")  # scikit-learn imports it
    if control is None:
        return "unknown without threadpoolctl"
    names = ("internal_api", "version", "architecture")
    found = {
        " ".join(str(info[name]) for name in names if info.get(name))
        for info in control.threadpool_info()
        if any(f"{library}.libs" in info["filepath"] for library in _LIBRARIES)
    }
    return ", ".join(sorted(found)) or "none"


adapter = Sklearn(sklearn)
