"""The adapter of JAX: arrays, keys, trees of the libraries around it, flags."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_repro.adapters import SwitchTooLate, active_adapters, digest, find_array_adapter, flatten
from pytest_repro.axes.alignment import copy_at_offset
from pytest_repro.core.runs.pytree import LocalsBudget, iter_leaves, iter_numeric_leaves
from pytest_repro.engine.runs.pin import pinned
from tests.conftest import Project

jax: Any = pytest.importorskip("jax")
jnp: Any = jax.numpy

from pytest_repro.adapters.arrays import _jax_flags as flags  # noqa: E402
from pytest_repro.adapters.arrays.jax import adapter  # noqa: E402


def read(value: object) -> dict[str, str]:
    """The kinds of the leaves of *value*, by path."""
    return {path: leaf.kind for path, leaf, _ in iter_leaves(value, "x", flatten)}


def fail(value: object) -> str:
    with pytest.raises(TypeError) as caught:
        read(value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("dtype", "element"),
    [
        ("float32", "float32"),
        ("bool", "bool"),
        ("complex64", "complex64"),
        ("bfloat16", "bfloat16"),
        ("float8_e4m3fn", "float8_e4m3fn"),
        ("float8_e5m2", "float8_e5m2"),
        ("int4", "int8"),
        ("uint4", "uint8"),
    ],
)
def test_arrays_of_every_dtype(dtype: str, element: str) -> None:
    array = jnp.asarray([0.0, 1.0, 1.0]).astype(dtype).reshape(3, 1)
    [(_, leaf, _)] = iter_leaves(array, "x", flatten)
    assert (leaf.kind, leaf.dtype, leaf.shape) == (f"{dtype}[3, 1]", element, (3, 1))
    assert (leaf.numeric, leaf.metadata) == (True, "jax, cpu")
    assert digest(array) == digest(array.copy())
    assert digest(array) != digest(array[::-1])
    assert digest(array) != digest(array.reshape(3))
    if element not in ("int8", "uint8"):
        assert digest(array) == digest(np.asarray(array))


def test_weak_types_are_part_of_the_kind() -> None:
    weak = jnp.asarray(2.0)
    assert read({"a": weak, "b": weak.astype("float32")}) == {"['a']": "float32[] weak", "['b']": "float32[]"}
    assert digest(weak) != digest(weak.astype("float32"))
    [reader] = adapter.fast_readers.values()
    assert adapter.describe((reader(weak) or ("", ""))[0])[0] == "float32[] weak"


def test_typed_keys_by_implementation_and_data() -> None:
    key, other = jax.random.key(3), jax.random.key(3, impl="rbg")
    assert digest(key) == digest(jax.random.key(3))
    found = {digest(each) for each in (key, other, jax.random.key(4), jax.random.split(key, 1))}
    assert len(found) == 4
    containers = [names for _, _, names in iter_leaves([key], "x", flatten)]
    assert containers == [(("", "list"), ("[0]", "key<threefry2x32>[]"))]


def test_what_has_no_values_is_an_error() -> None:
    donated, key = jnp.ones(3), jax.random.key(0)
    jax.jit(lambda x: x + 1, donate_argnums=0)(donated)
    key.delete()
    gone = "was deleted or donated to a compiled function: record it before that, or record a copy"
    assert fail({"w": donated}) == f"x['w'] {gone}"
    assert fail([key]) == f"x[0] {gone}"
    assert fail(jax.ShapeDtypeStruct((2,), "float32")).startswith(
        "x is a jax.ShapeDtypeStruct: it has a shape"
    )


def test_tracers_are_refused_and_not_touched() -> None:
    found: list[str] = []

    def trace(x: Any) -> Any:
        found.append(fail({"x": x}))
        budget = LocalsBudget()
        assert not list(iter_numeric_leaves(x, "x", flatten, budget))
        found.append(budget.skipped[0].reason)
        assert find_array_adapter(x) is None
        return x + 1

    jaxpr = jax.make_jaxpr(trace)(jnp.ones(2))
    assert [str(equation.primitive) for equation in jaxpr.eqns] == ["add"]
    assert found[0] == f"x['x'] {found[1]}"
    assert found[1].startswith(
        "is a tracer: it has no values while JAX compiles or differentiates the function"
    )
    jax.vmap(jax.grad(trace))(jnp.ones(2))
    assert found[2].startswith("x['x'] is a tracer")


def test_copies() -> None:
    array = jnp.arange(12.0).reshape(3, 4)
    assert find_array_adapter(array) is adapter
    assert find_array_adapter(jax.random.key(0)) is None
    for copy in (adapter.copy_array(array), copy_at_offset(array, 0)):
        assert digest(copy) == digest(array)
        assert copy is not array
    with pytest.raises(ValueError, match=r"offset 1 of a JAX array: JAX places every array at a"):
        copy_at_offset(array, 1)
    assert digest(adapter.concatenate([array, array[:1]])) == digest(np.asarray(array)[[0, 1, 2, 0]])


def test_arrays_on_several_devices(tmp_path: Path) -> None:
    code = """
    import jax, numpy as np
    from jax.sharding import Mesh, NamedSharding, PartitionSpec
    from pytest_repro.adapters import digest, flatten
    mesh = Mesh(np.array(jax.devices()), ("x",))
    plain = jax.numpy.arange(8.0).reshape(4, 2)
    sharded = jax.device_put(plain, NamedSharding(mesh, PartitionSpec("x")))
    assert digest(sharded) == digest(plain) and flatten(sharded).metadata == "jax, 4 × cpu"
    """
    environ = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    subprocess.run([sys.executable, "-c", "if 1:" + code], env=environ, check=True)


class Pair:
    """A node of another library, registered the plain way."""

    def __init__(self, left: Any, right: Any, mode: Any) -> None:
        self.left, self.right, self.mode = left, right, mode


jax.tree_util.register_pytree_node(
    Pair,
    lambda pair: ((pair.left, pair.right), pair.mode),
    lambda mode, parts: Pair(parts[0], parts[1], mode),
)


def test_registered_nodes_of_any_library() -> None:
    pair = Pair(jnp.ones(2), [jnp.zeros(1)], "sum")
    assert read(pair) == {"[0]": "float32[2]", "[1][0]": "float32[1]", ".aux_data": "str"}
    assert digest(pair) != digest(Pair(jnp.ones(2), [jnp.zeros(1)], "mean"))
    bound = jax.tree_util.Partial(jnp.add, jnp.ones(1))
    assert read(bound) == {".func": "function", ".args[0]": "float32[1]", ".keywords": "dict"}
    assert digest(bound) != digest(jax.tree_util.Partial(jnp.subtract, jnp.ones(1)))
    assert fail(Pair(1, 2, object())).startswith("x.aux_data is an object, which cannot be recorded")


def test_paths_of_flax_and_optax() -> None:
    nn, core, optax = (
        pytest.importorskip("flax.linen"),
        pytest.importorskip("flax.core"),
        pytest.importorskip("optax"),
    )
    train_state = pytest.importorskip("flax.training.train_state")
    model = nn.Dense(3)
    params = model.init(jax.random.key(0), jnp.ones((1, 2)))
    expected = {"['params']['bias']": "float32[3]", "['params']['kernel']": "float32[2, 3]"}
    assert read(params) == read(core.freeze(params)) == expected
    assert digest(params) != digest(core.freeze(params))
    state = train_state.TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(1e-3))
    paths = read(state)
    assert (
        paths[".params['params']['kernel']"]
        == paths[".opt_state[0].mu['params']['kernel']"]
        == "float32[2, 3]"
    )
    assert paths[".apply_fn"] == paths[".tx.init"] == "function"
    assert digest(state) == digest(state.replace(step=0)) != digest(state.replace(step=1))


def test_equinox_modules() -> None:
    eqx = pytest.importorskip("equinox")
    model = eqx.nn.MLP(2, 1, 4, 1, key=jax.random.key(0))
    paths = read(model)
    assert paths[".layers[0].weight"] == "float32[4, 2]"
    assert (paths[".activation"], paths[".in_size"]) == ("function", "int")
    other = eqx.tree_at(lambda m: m.activation, model, jnp.tanh)
    assert digest(model) != digest(other)
    norm, state = eqx.nn.make_with_state(eqx.nn.BatchNorm)(3, "batch", mode="ema")
    assert "['BatchNorm.ema_state_index'][0]" in read(state)
    assert read(norm)[".weight"] == "float32[3]"
    captured = iter_numeric_leaves(model, "model", flatten, LocalsBudget())
    assert {path for path, _, _ in captured} == {
        f".layers[{i}].{n}" for i in (0, 1) for n in ("weight", "bias")
    }


def test_flags_are_restored() -> None:
    before = flags.read_flags()
    assert before["jax_default_matmul_precision"] is None
    with pytest.raises(KeyboardInterrupt), pinned():
        jax.config.update("jax_enable_x64", True)
        jax.config.update("jax_default_matmul_precision", "float32")
        jax.config.update("jax_threefry_partitionable", not before["jax_threefry_partitionable"])
        jax.config.update("jax_default_device", jax.devices()[0])
        assert adapter.flags()["jax_enable_x64"] == "True"
        raise KeyboardInterrupt
    assert flags.read_flags() == before
    with pinned(), adapter.leave_switches(()):  # a module that is imported sets it
        jax.config.update("jax_numpy_rank_promotion", "warn")
    assert jax.config.jax_numpy_rank_promotion == "warn"
    assert adapter.set_switch("jax_numpy_rank_promotion", "allow")
    assert not adapter.set_switch("numpy.geterr()", {})


def test_the_environment_starts_no_device() -> None:
    code = """
    import jax
    from pytest_repro.adapters import environment_with_flags, seed_all
    from pytest_repro import pinned
    with pinned(): seed_all(1)
    print(environment_with_flags()["jax devices"], jax._src.xla_bridge.backends_are_initialized())
    jax.numpy.ones(1)
    print(environment_with_flags()["jax devices"])
    """
    variables = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    run = subprocess.run(
        [sys.executable, "-c", "if 1:" + code], env={**os.environ, **variables},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout.splitlines() in (["2 × cpu False", "2 × cpu"], ["not started False", "2 × cpu"])


def test_the_switch_of_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flags, "_has_gpu_plugin", lambda: True)
    monkeypatch.setattr(flags, "are_backends_started", lambda: False)
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=x")
    with adapter.deterministic(False):
        assert os.environ["XLA_FLAGS"] == "--xla_dump_to=x"
    with adapter.deterministic(True):
        assert os.environ["XLA_FLAGS"] == "--xla_dump_to=x --xla_gpu_deterministic_ops=true"
    assert os.environ["XLA_FLAGS"] == "--xla_dump_to=x"
    monkeypatch.setattr(flags, "are_backends_started", lambda: True)
    late = re.escape("XLA_FLAGS is set too late: JAX has started its devices, and reads it only then.")
    with pytest.warns(SwitchTooLate, match=late), adapter.deterministic(True):
        pass
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_deterministic_ops=true")
    with adapter.deterministic(True):
        pass


def test_a_key_from_the_clock(project: Project) -> None:
    project.inquires = True
    source = """
    import time
    import jax

    def init(shape):
        key = jax.random.key(time.time_ns() % 2**32)
        return {"dense": {"kernel": jax.random.normal(key, shape)}}

    def test_it(repro):
        params = init((2, 3))
        repro.record(params=params)
    """
    result = project(source).check(failed=1, says="params['dense']['kernel']   float32[2, 3]   run 2 differs")
    [test] = result.report["tests"]
    assert (test["cause"]["name"], test["cause"]["location"]) == ("clock", "test_it.py:5")
    assert test["mismatches"][0]["name"] == "params['dense']['kernel']"


def test_the_first_import_inside_a_test(project: Project) -> None:
    source = """
    def test_import(repro):
        import jax
        import numpy as np
        repro.record(x=jax.random.normal(jax.random.key(0), (3,)), y=np.random.rand())

    def test_after(repro):
        import jax
        repro.record(x=jax.numpy.asarray([1.0]))

    def test_locals():
        import pytest
        import jax
        state = {"w": jax.numpy.ones(2), "name": "w"}
        assert state["w"].dtype == "float32"
    """
    result = project(source, "--repro-all", subprocess=True).check(passed=3)
    assert set(result.verdicts.values()) == {"reproduced"}


def test_a_module_global_that_is_replaced(project: Project) -> None:
    """Arrays of JAX never change: another takes the place of one that a run leaves behind."""
    project.inquires = True
    source = """
    import jax.numpy as jnp

    count = jnp.zeros(2)

    def test_it(repro):
        global count
        count = count + 1
        repro.record(count=count)
    """
    [test] = project(source).check(failed=1).report["tests"]
    assert (test["cause"]["name"], test["cause"]["location"]) == ("shared-state", "test_it.py:3")
    assert "test_it.count has different values" in test["cause"]["explanation"]


def test_immutable_arrays_survive_deepcopy() -> None:
    assert "jax" in active_adapters()
    assert digest(deepcopy(jnp.ones(2))) == digest(jnp.ones(2))
