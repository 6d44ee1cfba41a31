"""flax: modules, optimizers, metrics and random streams of `flax.nnx`.

Seeded: nothing: random streams are seeded where they are created.
Restored: nothing: a stream that outlives a run goes on. `track_draws()` and `assert_no_draws()` see it move.
Switches: nothing of its own; those of JAX are.
Read: variables by path and type, `model.dense.kernel`, `optimizer.opt_state[0].count`, and streams by key and
  count. A variable that is shared is read once.
Captured: the variables of modules, optimizers, metrics and streams.
Environment: the version.
Limits: attributes that are not variables (a rate, an activation) are not compared. A linen module holds no
  parameters: record what `init()` returned, or the `TrainState`; these are trees of JAX.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import flax
import jax

from pytest_repro.adapters import Adapter
from pytest_repro.core.runs.observation import Parts
from pytest_repro.core.runs.pytree import FlattenResult

_LINEN = "is a linen module, which holds no parameters: record what its init() returned, or the TrainState"


def _read_value(variable: Any) -> Any:
    getter = getattr(variable, "get_raw_value", None)
    return variable.raw_value if getter is None else getter()


def _iter_variables(nnx: Any, value: object) -> Iterator[tuple[str, object]]:
    for path, variable in nnx.to_flat_state(nnx.state(value)):
        yield "".join(f"[{name}]" if isinstance(name, int) else f".{name}" for name in path), variable


class Flax(Adapter):
    """Modules and other objects of ``flax.nnx``, and random streams."""

    def flatten(self, value: Any) -> FlattenResult:
        kind = type(value)
        nnx: Any = sys.modules.get("flax.nnx")
        if nnx is not None and issubclass(kind, nnx.Variable):
            return Parts(f"nnx.{kind.__qualname__}", [("", _read_value(value))], numeric=True)
        if nnx is not None and issubclass(kind, nnx.Pytree):
            return Parts(kind.__qualname__, _iter_variables(nnx, value), numeric=True)
        linen: Any = sys.modules.get("flax.linen")
        return _LINEN if linen is not None and issubclass(kind, linen.Module) else None

    def kind_name(self, value: object) -> str:
        nnx: Any = sys.modules.get("flax.nnx")
        if nnx is None or not issubclass(type(value), nnx.Pytree):
            return ""
        if isinstance(value, (nnx.Rngs, nnx.RngStream)):
            return "flax generator"
        return "module" if isinstance(value, nnx.Module) else ""

    def get_state(self, generator: Any) -> str | None:
        state = self.state_key(generator)
        return None if state is None else json.dumps(state)

    def state_key(self, generator: Any) -> object:
        nnx: Any = sys.modules.get("flax.nnx")
        if nnx is None or not issubclass(type(generator), nnx.RngStream):
            return None
        key = jax.random.key_data(_read_value(generator.key)).tolist()
        return {"key": key, "count": int(_read_value(generator.count))}

    def set_state(self, generator: Any, state: str) -> None:
        saved, key, count = json.loads(state), _read_value(generator.key), _read_value(generator.count)
        data = jax.numpy.asarray(saved["key"], "uint32")
        generator.key.set_raw_value(jax.random.wrap_key_data(data, impl=jax.random.key_impl(key)))
        generator.count.set_raw_value(jax.numpy.asarray(saved["count"], count.dtype))

    def state_api_hint(self, generator: object) -> str:
        return "nnx.state(rngs), nnx.update(rngs, …)"

    def environment(self) -> dict[str, str]:
        return {"flax": flax.__version__}


adapter = Flax()
