"""Reads what estimators hold: estimators, trees, losses, splitters, generators, functions, containers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache, partial
from types import BuiltinFunctionType, BuiltinMethodType, CodeType, FunctionType, MethodType
from typing import Any, NamedTuple

import numpy as np

from pytest_repro.adapters import flatten_known
from pytest_repro.adapters._find_generators import list_slots
from pytest_repro.core.runs.observation import Leaf, Parts, make_leaf
from pytest_repro.core.runs.pytree import FlattenResult

NOT_VALUES = {
    "n_jobs", "nthread", "num_threads", "thread_count", "n_threads", "_n_threads", "pre_dispatch", "verbose",
    "verbosity", "memory", "refit_time_",
}  # fmt: skip
"""Attributes that say how something is computed, cached and reported, or how long it takes."""

_NOT_KEYS = frozenset(f"{what}_{step}_time" for what in ("mean", "std") for step in ("fit", "score"))
_LINKS = frozenset({"prev_leaf_", "next_leaf_", "dummy_leaf_"})  # of Birch, whose tree holds the same nodes
_OTHER_PARAMETERS = frozenset({"_other_params", "kwargs"})  # of LightGBM and XGBoost
_ADAPTED = frozenset({"catboost"})  # packages whose estimators have an adapter of their own
_TREE = (
    "children_left", "children_right", "feature", "threshold", "missing_go_to_left", "impurity",
    "n_node_samples", "weighted_n_node_samples", "value", "n_features", "n_classes", "n_outputs", "max_depth",
)  # fmt: skip
_MAX_WORDS = 1000  # words of a vocabulary that are compared one by one; more are compared as two arrays
_HINT = "record its fitted attributes (.coef_, .estimators_[0].tree_, …) or its predictions"


class Attribute(NamedTuple):
    """A value that an estimator holds.

    *packages* are those whose objects are read by their attributes; *ancestors* the ``id`` of each object
    that holds the value.
    """

    value: Any
    packages: frozenset[str] = frozenset({"sklearn"})
    ancestors: tuple[int, ...] = ()


@lru_cache(maxsize=512)
def is_estimator(kind: type) -> bool:
    """Whether instances of *kind* follow the API of scikit-learn: ``fit`` and ``get_params``."""
    return hasattr(kind, "get_params") and (hasattr(kind, "fit") or hasattr(kind, "_get_param_names"))


def get_package(kind: type) -> str:
    """The top-level package that defines *kind*."""
    return (kind.__module__ or "").partition(".")[0]


def flatten_estimator(at: Attribute) -> Parts:
    """Parameters, then attributes, each sorted by name."""
    estimator = at.value
    parameters = estimator.get_params(deep=False)
    attributes = _get_attributes(estimator)
    named = [(name, parameters[name]) for name in sorted(parameters)]
    named += [(name, attributes[name]) for name in sorted(attributes.keys() - parameters.keys())]
    return Parts(type(estimator).__qualname__, _iter_parts(at, _iter_named(estimator, named)), numeric=True)


def _iter_named(owner: Any, named: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    for name, value in named:
        if name == "steps" and hasattr(type(owner), "named_steps"):  # of a pipeline: model['scale'].mean_
            yield ".steps", [step for step, _ in value]
            yield from ((f"[{step!r}]", each) for step, each in value)
        elif name in _OTHER_PARAMETERS and isinstance(value, dict):
            yield f".{name}", {key: part for key, part in value.items() if key not in NOT_VALUES}
        elif name not in NOT_VALUES and name not in _LINKS:
            yield f".{name}", value


def _iter_parts(at: Attribute, named: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Attribute]]:
    """The parts of the object in *at*."""
    packages = at.packages | {get_package(type(at.value))}
    ancestors = (*at.ancestors, id(at.value))
    return ((suffix, Attribute(part, packages, ancestors)) for suffix, part in named)


def _get_attributes(value: Any) -> dict[str, Any]:
    slots = {name: getattr(value, name) for name in list_slots(value) if not name.startswith("__")}
    return {**slots, **getattr(value, "__dict__", {})}


def flatten_attribute(at: Attribute) -> FlattenResult:
    """The value in *at* as a leaf or parts, or why it cannot be read."""
    value: Any = at.value
    kind: Any = type(value)
    if id(value) in at.ancestors:
        return make_leaf("reference", "to an object that holds it")
    if is_estimator(kind):
        return flatten_known(value) if get_package(kind) in _ADAPTED else flatten_estimator(at)
    if kind is np.ndarray and value.dtype == object:
        return _flatten_objects(at)
    if issubclass(kind, (dict, list, tuple)):
        return _wrap(at, _flatten_container(value))
    found = flatten_callable(value) or _flatten_setting(value)
    if found is not None:
        return _wrap(at, found)
    package, where = get_package(kind), f"{kind.__module__}.{kind.__qualname__}"
    found = None if package == "sklearn" else flatten_known(value)
    if found is None and package in at.packages:
        return flatten_object(at)
    return f"is a {where}, which cannot be read as part of an estimator: {_HINT}" if found is None else found


def _wrap(at: Attribute, found: FlattenResult) -> FlattenResult:
    """*found*, whose parts may be anything that an estimator holds."""
    if not isinstance(found, Parts):
        return found
    return Parts(found.kind, ((suffix, at._replace(value=part)) for suffix, part in found.items))


def _flatten_container(value: Any) -> FlattenResult:
    if not isinstance(value, dict):
        return flatten_known(value)
    named = ((key.item() if isinstance(key, np.generic) else key, part) for key, part in value.items())
    kept = {key: part for key, part in named if key not in _NOT_KEYS}
    words = sorted(kept) if len(kept) > _MAX_WORDS and all(type(key) is str for key in kept) else []
    if words and all(type(part) is int for part in kept.values()):
        numbers = np.array([kept[word] for word in words])
        return Parts(
            type(value).__qualname__,
            [(".keys()", make_leaf("words", json.dumps(words))), (".values()", numbers)],
        )
    plain = len(kept) == len(value) and not any(isinstance(key, np.generic) for key in value)
    return flatten_known(value if plain else kept)


def _flatten_setting(value: Any) -> FlattenResult:
    if isinstance(value, np.dtype):
        return make_leaf("dtype", str(value))
    if isinstance(value, slice):
        return Parts("slice", [(f".{name}", getattr(value, name)) for name in ("start", "stop", "step")])
    return None


def _flatten_objects(at: Attribute) -> FlattenResult:
    """An array of objects: the trees of a booster, categories, labels."""
    array = at.value
    kind = f"object{list(array.shape)}"
    if array.size and all(type(each) is str and not each.endswith("\0") for each in array.flat):
        return Parts(kind, [("", array.astype(str))])
    items = ((str(list(index)), at._replace(value=part)) for index, part in np.ndenumerate(array))
    return Parts(kind, items)


def flatten_object(at: Attribute) -> FlattenResult:
    """An object of scikit-learn, or of the package of an estimator, by its attributes."""
    value, kind = at.value, type(at.value)
    named: Iterable[tuple[str, Any]]
    if kind.__name__ == "Tree" and hasattr(kind, "children_left"):
        named = [(f".{name}", getattr(value, name)) for name in _TREE if hasattr(value, name)]
    elif hasattr(kind, "get_tree_stats"):
        named = _iter_neighbor_tree(value)
    elif hasattr(value, "__dict__") and "__reduce__" not in vars(kind):
        named = _iter_named(value, sorted(_get_attributes(value).items()))
    else:
        return _flatten_compiled(at)
    return Parts(kind.__qualname__, _iter_parts(at, named))


def _iter_neighbor_tree(tree: Any) -> Iterable[tuple[str, object]]:
    """A ``KDTree`` or ``BallTree``, without the counters of its queries."""
    data, indices, nodes, bounds = tree.get_arrays()
    yield from ((".data", np.asarray(data)), (".idx_array", np.asarray(indices)))
    yield from ((".node_data", np.asarray(nodes)), (".node_bounds", np.asarray(bounds)))
    state = tree.__getstate__()
    yield from ((".leaf_size", state[4]), (".dist_metric", state[-2]))
    yield ".sample_weight", None if state[-1] is None else np.asarray(state[-1])


def _flatten_compiled(at: Attribute) -> FlattenResult:
    """An object of a compiled class, by the arguments and the state that would make an equal one."""
    kind = type(at.value)
    try:
        reduced = at.value.__reduce__()
    except TypeError as error:
        return f"is a {kind.__module__}.{kind.__qualname__}, whose state is not accessible ({error}): {_HINT}"
    if not isinstance(reduced, tuple):
        return make_leaf(kind.__qualname__, str(reduced))
    return Parts(kind.__qualname__, _iter_parts(at, zip((".args", ".state"), reduced[1:3])))


_NAMED: Any = (type, BuiltinFunctionType, BuiltinMethodType, np.ufunc, type(np.mean))


def flatten_callable(value: Any) -> Leaf | Parts | None:
    """A function or class by its qualified name; None for other values.

    A lambda or a nested function is read by its code, its defaults and the variables that it uses.
    """
    if isinstance(value, partial):
        named = [(".func", value.func), (".args", value.args), (".keywords", value.keywords)]
        return Parts("partial", named)
    if isinstance(value, MethodType):
        return Parts("method", [(".__func__", value.__func__), (".__self__", value.__self__)])
    if isinstance(value, FunctionType):
        return _flatten_function(value)
    if isinstance(value, _NAMED) and not getattr(value, "__self__", None):
        return make_leaf("class" if isinstance(value, type) else "function", _format_name(value))
    if isinstance(value, _NAMED):
        return make_leaf("function", f"{_format_name(value.__self__)}.{value.__name__}")
    return None


def _format_name(value: Any) -> str:
    module = getattr(value, "__module__", None)
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", type(value).__qualname__)
    return f"{module}.{name}" if module else str(name)


def _flatten_function(function: FunctionType) -> Leaf | Parts:
    name = make_leaf("function", _format_name(function))
    if "<" not in function.__qualname__:
        return name
    return Parts("function", _iter_function(function, name))


def _iter_function(function: FunctionType, name: Leaf) -> Iterator[tuple[str, object]]:
    yield "", name
    yield ".__code__", make_leaf("code", "\n".join(_describe_code(function.__code__)))
    yield ".__defaults__", function.__defaults__
    yield ".__kwdefaults__", function.__kwdefaults__
    for variable, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        yield f".{variable}", cell.cell_contents


def _describe_code(code: CodeType) -> Iterable[str]:
    """Instructions, names and constants, without file and lines."""
    yield code.co_code.hex()
    yield " ".join((*code.co_names, "|", *code.co_varnames, "|", *code.co_freevars))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _describe_code(constant)
        else:
            yield repr(sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant)
