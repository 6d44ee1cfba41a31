"""Reads distributions, quasi-random engines, interpolators and results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import FunctionType, MethodType
from typing import Any

import numpy as np

from pytest_repro.core.runs.observation import Parts
from pytest_repro.core.runs.pytree import FlattenResult

_random: Any = np.random
_PLAIN_DISTRIBUTIONS = ("scipy.stats._continuous_distns", "scipy.stats._discrete_distns")
_DISTRIBUTION_DATA = {"rv_sample": ("xk", "pk"), "rv_histogram": ("_histogram", "_density")}

ATTRIBUTES = {
    "BSpline": "t c k extrapolate axis",
    "_PPolyBase": "c x extrapolate axis",
    "interp1d": "x y _kind axis bounds_error fill_value",
    "UnivariateSpline": "_eval_args ext",
    "_BivariateSplineBase": "tck degrees",
    "RegularGridInterpolator": "grid values method bounds_error fill_value",
    "RBFInterpolator": "y d smoothing kernel epsilon neighbors powers _coeffs _shift _scale",
    "BarycentricInterpolator": "xi yi wi axis",
    "KroghInterpolator": "xi c",
    "NearestNDInterpolator": "points values scale",
    "gaussian_kde": "dataset weights factor covariance",
    "cKDTree": "data indices leafsize boxsize",
    "LbfgsInvHessProduct": "sk yk",
    "Slerp": "times rotations",
    "_PSD": "U rank log_pdet",
    "CovViaPSD": "_LP _log_pdet _rank _covariance _allow_singular",
}
"""What a class of scipy is made of, as its attributes, by the name of the class or of its base."""


def flatten_attributes(value: Any, names: str) -> Parts:
    """The attributes *names*, separated by spaces."""
    return Parts(
        type(value).__qualname__, [(f".{name}", getattr(value, name, None)) for name in names.split()]
    )


def _iter_random_state(generator: Any) -> Iterator[tuple[str, object]]:
    """A generator of its own: the global one is no part of a distribution."""
    if generator is not _random.mtrand._rand:
        yield ".random_state", generator


def flatten_frozen(value: Any) -> FlattenResult:
    """A frozen distribution by its name, arguments and own generator."""
    kind = type(value.dist)
    if kind.__module__ not in _PLAIN_DISTRIBUTIONS and kind.__name__ not in _DISTRIBUTION_DATA:
        name = f"{kind.__module__}.{kind.__qualname__}"
        return f"is a distribution of the class {name}: record its parameters and what you compute with it"
    return Parts(type(value).__qualname__, _iter_frozen(value))


def _iter_frozen(value: Any) -> Iterator[tuple[str, object]]:
    dist = value.dist
    yield ".dist.name", dist.name or type(dist).__qualname__
    names = ("a", "b", *_DISTRIBUTION_DATA.get(type(dist).__name__, ()))
    yield from ((f".dist.{name}", getattr(dist, name)) for name in names)
    yield from ((".args", value.args), (".kwds", value.kwds))
    yield from _iter_random_state(dist._random_state)


def flatten_distribution(value: Any) -> FlattenResult:
    """A distribution such as ``scipy.stats.Normal`` by its parameters."""
    kind = type(value)
    if kind.__module__ != "scipy.stats._new_distributions":
        return (
            f"is a {kind.__module__}.{kind.__qualname__}: record its parameters and what you compute with it"
        )
    return Parts(
        kind.__qualname__, [(f".{n}", part) for n, part in sorted(value._original_parameters.items())]
    )


def flatten_multivariate(value: Any) -> Parts:
    """A frozen distribution of vectors or matrices, by its parameters and own generator."""
    named = [(f".{name}", part) for name, part in sorted(vars(value).items()) if name != "_dist"]
    return Parts(type(value).__qualname__, [*named, *_iter_random_state(value._dist._random_state)])


def flatten_engine(value: Any) -> Parts:
    """A quasi-random engine by its state: how far it is, and its generator."""
    skipped = (type, FunctionType, MethodType)
    named = [(n, part) for n, part in sorted(vars(value).items()) if n not in ("_init_quad", "_optimization")]
    items = [(f".{name}", part) for name, part in named if not isinstance(part, skipped)]
    return Parts(type(value).__qualname__, items)


def flatten_result(value: Any) -> Parts:
    """The result of an optimizer: ``result.x``."""
    return Parts(type(value).__qualname__, [(f".{name}", value[name]) for name in sorted(value)])


def flatten_test_result(value: Any) -> Parts:
    """The result of a test: a named tuple, some with further attributes: ``result.df``."""
    names = [*value._fields, *sorted(name for name in getattr(value, "__dict__", ()) if name[0] != "_")]
    return Parts(type(value).__qualname__, [(f".{name}", getattr(value, name)) for name in names])


def flatten_rotation(value: Any) -> Parts:
    """A rotation as quaternions, whose sign counts."""
    return Parts(type(value).__qualname__, [("", value.as_quat())])


READERS: dict[str, Callable[[Any], FlattenResult]] = {
    "rv_frozen": flatten_frozen,
    "multi_rv_frozen": flatten_multivariate,
    "UnivariateDistribution": flatten_distribution,
    "QMCEngine": flatten_engine,
    "MultivariateNormalQMC": flatten_engine,
    "MultinomialQMC": flatten_engine,
    "OptimizeResult": flatten_result,
    "Rotation": flatten_rotation,
}
"""How a class of scipy is read, by the name of the class or of its base."""
