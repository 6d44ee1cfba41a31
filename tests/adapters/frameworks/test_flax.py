"""The adapter of Flax: modules, optimizers and random streams of nnx."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_repro.adapters import digest, find_generator_adapter, find_kind_name, flatten
from pytest_repro.core.runs.pytree import LocalsBudget, iter_leaves, iter_numeric_leaves

nnx: Any = pytest.importorskip("flax.nnx")
jax: Any = pytest.importorskip("jax")

from pytest_repro.adapters.frameworks.flax import adapter  # noqa: E402


class Net(nnx.Module):  # type: ignore[misc]
    def __init__(self, rngs: Any) -> None:
        self.dense = nnx.Linear(2, 3, rngs=rngs)
        self.norm = nnx.BatchNorm(3, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.layers = nnx.List([nnx.Linear(3, 3, rngs=rngs)])
        self.tied = self.dense


def read(value: object) -> dict[str, str]:
    return {path: leaf.kind for path, leaf, _ in iter_leaves(value, "x", flatten)}


def test_modules_by_variable() -> None:
    net = Net(nnx.Rngs(0))
    paths = read(net)
    assert paths[".dense.kernel"] == "float32[2, 3]"
    assert paths[".layers[0].bias"] == "float32[3]"
    assert {".norm.mean", ".drop.rngs.key", ".drop.rngs.count"} < set(paths)
    assert not any(path.startswith(".tied") for path in paths)
    assert digest(net) == digest(Net(nnx.Rngs(0))) != digest(Net(nnx.Rngs(1)))
    captured = {path for path, _, _ in iter_numeric_leaves(net, "net", flatten, LocalsBudget())}
    assert captured == set(paths)
    assert find_kind_name(net) == "module"


def test_variables_are_of_a_type() -> None:
    value = jax.numpy.ones(2)
    assert digest(nnx.Param(value)) == digest(nnx.Param(value)) != digest(nnx.BatchStat(value))


def test_optimizers() -> None:
    optax = pytest.importorskip("optax")
    net = Net(nnx.Rngs(0))
    paths = read(nnx.Optimizer(net, optax.adam(1e-3), wrt=nnx.Param))
    assert {".step", ".opt_state[0].count", ".opt_state[0].mu.dense.kernel"} < set(paths)


def test_linen_modules_hold_no_parameters() -> None:
    linen = pytest.importorskip("flax.linen")
    with pytest.raises(
        TypeError, match=r"^value is a linen module, which holds no parameters: record what its"
    ):
        digest(linen.Dense(3))


def test_streams_are_generators() -> None:
    rngs = nnx.Rngs(0, params=1)
    stream = rngs.params
    assert find_generator_adapter(stream) is adapter
    assert find_generator_adapter(rngs) is None
    assert find_kind_name(rngs) == find_kind_name(stream) == "flax generator"
    state = adapter.get_state(stream)
    assert state is not None
    first = [digest(stream()) for _ in range(3)]
    adapter.set_state(stream, state)
    assert [digest(stream()) for _ in range(3)] == first
