"""keras: models, layers, optimizers, metrics and variables of Keras 3, with every backend.

Seeded: the global seed generator of `keras.random` begins again in each run, with a seed that `random` draws.
Restored: that generator, and what `keras.utils.set_random_seed` notes.
Switches: none of its own; those of the backend are.
Read: variables by path, `model.layers['dense'].kernel`, `optimizer.variables[2]`, `metric.total`; the same
  with every backend. A variable that is shared is read once. Arrays in public attributes of layers,
  vocabularies and bins.
Captured: the variables of models, layers, optimizers, metrics and seed generators.
Environment: version, backend, float type, image data format.
Limits: names that Keras counts up (`dense_7`) are counted in each model, `dense`, `dense_1`: the number is
  not a value. Configurations are not compared.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from pytest_repro.adapters import Adapter
from pytest_repro.adapters._held_arrays import iter_held_arrays
from pytest_repro.core.runs.observation import Parts, make_leaf
from pytest_repro.core.runs.pytree import FlattenResult
from pytest_repro.interpose.seeding import Effect

_SYMBOLIC = "is a symbolic tensor: it has a shape, but no values; record what the model returns for an input"
_GLOBALS: Any = sys.modules.get("keras.src.backend.common.global_state")
_SEED_KEYS = ("global_seed_generator", "random_seed")
_WITH_VOCABULARY = (keras.layers.StringLookup, keras.layers.IntegerLookup, keras.layers.TextVectorization)
_IS_KNOWN = hasattr(_GLOBALS, "get_global_attribute") and hasattr(_GLOBALS, "set_global_attribute")
"""Whether this version keeps its global generator where it is read: these names are private."""


def _to_snake_case(name: str) -> str:
    """As Keras names the instances of a class: ``Conv2D`` is ``conv2d``."""
    words = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


def name_parts(parts: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """Names of *parts*: those that the user gave, others counted from the first part on."""
    counts: Counter[str] = Counter()
    for part in parts:
        base = _to_snake_case(type(part).__name__)
        name = base if re.fullmatch(rf"{re.escape(base)}(_\d+)?", part.name) else part.name
        counts[name] += 1
        yield name if counts[name] == 1 else f"{name}_{counts[name] - 1}", part


def _iter_layer(layer: Any, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """The variables of *layer* by path, those of its parts last; adds their ids to *seen*."""
    children = [(name, child) for name, child in _list_children(layer) if child is not layer]
    below = {id(variable) for _, child in children for variable in child.variables}
    own = [v for v in layer.variables if id(v) not in below and id(v) not in seen]
    seen.update(map(id, own))
    named = {f".{name}": variable for name, variable in name_parts(own)}
    yield from named.items()
    yield from _iter_data(layer, named)
    for name, child in children:
        yield from ((f"{name}{path}", variable) for path, variable in _iter_layer(child, seen))


def _iter_data(layer: Any, variables: Collection[str]) -> Iterator[tuple[str, Any]]:
    """What *layer* holds beside variables and layers: arrays in attributes, and what ``adapt`` has found."""
    seen = set(map(id, layer.variables))
    for name, value in vars(layer).items():
        if not name.startswith("_") and f".{name}" not in variables:
            yield from iter_held_arrays(value, f".{name}", seen)
    if isinstance(layer, keras.layers.Discretization) and layer.bin_boundaries is not None:
        yield ".bin_boundaries", np.array(layer.bin_boundaries)
    if isinstance(layer, _WITH_VOCABULARY):
        yield ".get_vocabulary()", np.array(layer.get_vocabulary())


def _list_children(layer: Any) -> list[tuple[str, Any]]:
    """The layers in *layer*: by attribute where they have one, else by name."""
    children: list[Any] = getattr(layer, "_layers", None) or getattr(layer, "layers", [])  # private first
    is_chain = isinstance(layer, keras.Sequential) or hasattr(layer, "_functional")
    is_chain = is_chain or type(layer).__name__ == "Functional"
    attributes = {} if is_chain else _find_attributes(layer)
    named = {id(child): f".layers[{name!r}]" for name, child in name_parts(children)}
    return [(attributes.get(id(child)) or named[id(child)], child) for child in children]


def _find_attributes(layer: Any) -> dict[int, str]:
    """The public attributes of *layer* that are layers, or lists or dicts of them: id → path."""
    found: dict[int, str] = {}
    modules = vars(layer).get("_modules", {})  # of torch
    for name, value in {**vars(layer), **modules}.items():
        if name.startswith("_"):
            continue
        items: Iterable[tuple[str, Any]] = [("", value)]
        if isinstance(value, (list, tuple)):
            items = ((f"[{number}]", each) for number, each in enumerate(value))
        elif isinstance(value, dict):
            items = ((f"[{key!r}]", each) for key, each in value.items())
        for suffix, each in items:
            if isinstance(each, keras.Layer):
                found.setdefault(id(each), f".{name}{suffix}")
    return found


def _iter_optimizer(optimizer: Any) -> Iterator[tuple[str, Any]]:
    for number, variable in enumerate(optimizer.variables):
        name = variable.name if variable.name in ("iteration", "learning_rate") else ""
        yield f".{name}" if name else f".variables[{number}]", variable


class Keras(Adapter):
    """Models, layers, optimizers, metrics, variables, seed generators."""

    def flatten(self, value: Any) -> FlattenResult:
        kind = type(value)
        if issubclass(kind, keras.Variable):
            return Parts("keras.Variable", [("", keras.ops.convert_to_numpy(value.value))], numeric=True)
        if issubclass(kind, keras.Layer):
            return Parts(kind.__qualname__, _iter_layer(value, set()), numeric=True)
        if issubclass(kind, keras.optimizers.Optimizer):
            return Parts(kind.__qualname__, _iter_optimizer(value), numeric=True)
        if issubclass(kind, keras.Metric):
            named = ((f".{name}", variable) for name, variable in name_parts(value.variables))
            return Parts(kind.__qualname__, named, numeric=True)
        if issubclass(kind, keras.random.SeedGenerator):
            return Parts("keras.random.SeedGenerator", [(".state", value.state)], numeric=True)
        if issubclass(kind, keras.KerasTensor):
            return _SYMBOLIC
        if issubclass(kind, keras.DTypePolicy):
            return make_leaf("keras.DTypePolicy", str(value.name))
        return None

    def kind_name(self, value: object) -> str:
        kind = type(value)
        if issubclass(kind, keras.random.SeedGenerator):
            return "keras generator"
        names = {keras.Layer: "module", keras.optimizers.Optimizer: "optimiser"}
        return next((name for base, name in names.items() if issubclass(kind, base)), "")

    def save_variables(self, value: Any) -> Callable[[], object] | None:
        if not isinstance(value, (keras.Layer, keras.optimizers.Optimizer)):
            return None
        owners = [value, *filter(None, [getattr(value, "optimizer", None)])]
        read = keras.ops.convert_to_numpy
        saved = [(each, read(each).copy()) for owner in owners for each in owner.variables]
        return lambda: [each.assign(before) for each, before in saved]

    def seed(self, seed: int) -> None:
        # Keras creates it at its first use, with a seed from `random`, which is seeded by now.
        if _IS_KNOWN and _GLOBALS.get_global_attribute(_SEED_KEYS[0]) is not None:
            _GLOBALS.set_global_attribute(_SEED_KEYS[0], None)

    def save_global_states(self) -> Callable[[], None]:
        saved = {key: _GLOBALS.get_global_attribute(key) for key in _SEED_KEYS} if _IS_KNOWN else {}
        generator = saved.get(_SEED_KEYS[0])
        state = self.get_state(generator)

        def restore() -> None:
            for key, value in saved.items():
                _GLOBALS.set_global_attribute(key, value)
            if state is not None:
                self.set_state(generator, state)

        return restore

    def global_states_key(self) -> object:
        return [self.get_state(generator) for generator in self.global_generators().values()]

    def global_generators(self) -> Mapping[str, object]:
        generator = _GLOBALS.get_global_attribute(_SEED_KEYS[0]) if _IS_KNOWN else None
        return {} if generator is None else {"keras.random": generator}

    def seeding_functions(self) -> Iterable[tuple[Any, str, Effect]]:
        return [(keras.utils, "set_random_seed", "seeds")]

    def get_state(self, generator: Any) -> str | None:
        if not issubclass(type(generator), keras.random.SeedGenerator):
            return None
        return json.dumps(keras.ops.convert_to_numpy(generator.state.value).tolist())

    def set_state(self, generator: Any, state: str) -> None:
        generator.state.assign(np.array(json.loads(state), "uint32"))

    def state_api_hint(self, generator: object) -> str:
        return ".state, .state.assign(…)"

    def environment(self) -> dict[str, str]:
        return {"keras": keras.__version__, "keras backend": keras.config.backend()}

    def flags(self) -> dict[str, str]:
        policy, layout = keras.config.dtype_policy().name, keras.config.image_data_format()
        return {"keras float": f"{keras.config.floatx()}, {policy}", "keras image data format": layout}


adapter = Keras()
