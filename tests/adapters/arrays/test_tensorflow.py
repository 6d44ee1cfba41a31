"""The adapter of TensorFlow: tensors, variables, modules, seeds."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from pytest_repro.adapters import digest, find_array_adapter, find_generator_adapter, find_kind_name, flatten
from pytest_repro.causes import get_cause
from pytest_repro.core.runs.observation import Leaf
from pytest_repro.core.runs.pytree import LocalsBudget, iter_leaves, iter_numeric_leaves
from pytest_repro.engine.runs.pin import pinned
from tests.conftest import Project

tf: Any = pytest.importorskip("tensorflow")

from pytest_repro.adapters.arrays import _tf_seeds as seeds  # noqa: E402
from pytest_repro.adapters.arrays.tensorflow import adapter  # noqa: E402


def read(value: object) -> dict[str, str]:
    return {path: leaf.kind for path, leaf, _ in iter_leaves(value, "x", flatten)}


def fail(value: object) -> str:
    with pytest.raises(TypeError) as caught:
        read(value)
    return str(caught.value)


def test_variables_of_a_value_are_put_back() -> None:
    class Counter(tf.Module):  # type: ignore[misc]
        """Holds a variable."""

        def __init__(self) -> None:
            super().__init__()
            self.steps = tf.Variable([1.0])

    counter = Counter()
    for value in (counter, counter.steps):
        restore = adapter.save_variables(value)
        assert restore is not None
        counter.steps.assign_add([2.0])
        restore()
        assert counter.steps.numpy().tolist() == [1.0]
    assert adapter.save_variables(tf.constant(1)) is None


def test_a_suspended_clock_stands_still() -> None:
    def read_time() -> float:
        with get_cause("clock").suspend(0):
            return float(tf.timestamp())

    assert read_time() == read_time()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "complex64", "int8", "bool"])
def test_tensors_are_equal_to_arrays(dtype: str) -> None:
    array = np.array([0, 1, 1]).astype(getattr(tf, dtype).as_numpy_dtype)
    tensor = tf.constant(array)
    assert digest(tensor) == digest(array)
    leaf = flatten(tensor)
    assert isinstance(leaf, Leaf)
    assert (leaf.kind, leaf.dtype, leaf.numeric, leaf.metadata) == (
        f"{dtype}[3]",
        dtype,
        True,
        "tensorflow, CPU",
    )
    assert digest(tf.reshape(tensor, (3, 1))) != digest(tensor)


def test_text_ragged_sparse_and_quantised_tensors() -> None:
    assert (
        digest(tf.constant(["a", "bc"]))
        == digest(tf.constant(["a", "bc"]))
        != digest(tf.constant(["ab", "c"]))
    )
    assert read(tf.constant("a")) == {"": "string[]"}
    assert read(tf.ragged.constant([[1], [2, 3]])) == {
        ".flat_values": "int32[3]",
        ".nested_row_splits[0]": "int64[3]",
    }
    assert set(read(tf.sparse.from_dense([[0, 1.0]]))) == {".indices", ".values", ".dense_shape"}


def test_variables_and_modules_by_path() -> None:
    class Block(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            self.kernel = tf.Variable([1.0, 2.0])
            self.heads = {"a": tf.Variable(1.0)}
            self.parts = [tf.Variable(2.0)]
            self.shared = self.kernel

    block = Block()
    assert read(block) == {".heads['a']": "float32[]", ".kernel": "float32[2]", ".parts[0]": "float32[]"}
    captured = {path for path, _, _ in iter_numeric_leaves(block, "block", flatten, LocalsBudget())}
    assert captured == set(read(block))
    assert digest(tf.Variable(1.0)) != digest(tf.constant(1.0))
    block.scale, block.table = tf.constant(1.0), np.ones(2)
    assert set(read(block)) == captured | {".scale", ".table"}
    assert find_kind_name(block) == "module"


def test_what_has_no_values_is_an_error() -> None:
    found: list[str] = []

    def trace(x: Any) -> Any:
        found.append(fail({"x": x}))
        return x

    tf.function(trace)(tf.constant(1.0))
    assert found[0].startswith("x['x'] is a symbolic tensor: it has no values until the function runs")
    assert (
        fail(tf.data.Dataset.range(3))
        == "x is a tf.data.Dataset: record what it yields, list(dataset.take(3))"
    )
    assert fail(tf.Variable(1.0).handle) == "x is a tensor of resource, which has no values"


def test_copies() -> None:
    tensor = tf.constant([[1.0], [2.0]])
    assert find_array_adapter(tensor) is adapter
    assert find_array_adapter(tf.constant("a")) is None
    assert digest(adapter.copy_array(tensor)) == digest(tensor)
    assert adapter.concatenate([tensor, tensor]).shape == (4, 1)


def draw() -> list[float]:
    return [float(tf.random.normal([])), float(tf.random.get_global_generator().normal([]))]


def test_seeds_are_set_and_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeds._generators, "global_generator", None)
    tf.random.set_seed(1)
    draw()
    restore, key = adapter.save_global_states(), adapter.global_states_key()
    expected = [draw() for _ in range(3)]
    restore()
    assert adapter.global_states_key() == key
    with pinned(4):
        first = draw()
        assert adapter.global_states_key() != key
    assert [draw() for _ in range(3)] == expected
    with pinned(4):
        assert draw() == first


def test_a_global_generator_that_is_created_in_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeds._generators, "global_generator", None)
    real = vars(tf.random.Generator)["from_non_deterministic_state"]
    drawn = []
    for _ in range(2):
        with pinned(3):
            drawn.append(draw()[1])
            other = tf.random.Generator.from_non_deterministic_state()
            assert digest(other) != digest(tf.random.Generator.from_non_deterministic_state())
        assert seeds._generators.global_generator is None
    assert drawn[0] == drawn[1] == float(tf.random.Generator.from_seed(3).normal([]))
    assert vars(tf.random.Generator)["from_non_deterministic_state"] is real


def test_generators_of_the_user() -> None:
    generator = tf.random.Generator.from_seed(1)
    assert find_generator_adapter(generator) is adapter
    assert find_kind_name(generator) == "tensorflow generator"
    state = adapter.get_state(generator)
    assert state is not None
    first = float(generator.normal([]))
    adapter.set_state(generator, state)
    assert float(generator.normal([])) == first


def test_settings_are_restored_and_determinism_is_left_alone() -> None:
    before = adapter.switches()
    with pinned():
        assert adapter.flags()["tensorflow op determinism"] == "False"
        tf.config.run_functions_eagerly(True)
        tf.config.experimental.enable_tensor_float_32_execution(False)
    assert adapter.switches() == before
    assert not adapter.set_switch("numpy.geterr()", {})


def test_no_device_is_started() -> None:
    code = """
    import tensorflow
    from pytest_repro import pinned, seed_all
    from pytest_repro.adapters import environment_with_flags
    from pytest_repro.adapters.arrays._tf_seeds import is_started
    with pinned(): seed_all(1)
    print(environment_with_flags()["tensorflow devices"], is_started())
    """
    run = subprocess.run(
        [sys.executable, "-c", "if 1:" + code], capture_output=True, text=True, check=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    assert run.stdout.split()[-1] == "False"


def test_first_import_inside_a_test(project: Project) -> None:
    source = """
    def test_it(repro):
        import tensorflow as tf
        w = tf.Variable(tf.random.normal([2]))
        repro.record(w=w, x=tf.random.get_global_generator().normal([2]))
    """
    result = project(source, subprocess=True).check(passed=1)
    assert result.verdicts == {"test_it": "reproduced"}


def test_op_determinism_is_set_in_another_interpreter_only(project: Project) -> None:
    source = """
    import os, pytest
    from pathlib import Path
    import tensorflow as tf
    from tensorflow.python.framework import config

    NOTES = Path(__file__).with_name("notes.txt")

    def note(where):
        with NOTES.open("a") as file:
            print(where, "here" if os.environ["HERE"] == str(os.getpid()) else "there",
                  config.is_op_determinism_enabled(), file=file)

    @pytest.mark.reproducible(process=True)
    def test_on(repro):
        note("on")
        numbers = tf.data.Dataset.range(50).map(lambda x: 2 * x, num_parallel_calls=2, deterministic=False)
        repro.record(x=tf.random.normal([3]), numbers=sorted(map(int, numbers)))

    @pytest.mark.reproducible(process=True, deterministic=False)
    def test_off(repro):
        note("off")
        repro.record(x=tf.random.normal([3]))
    """
    project.write(conftest="import os\nos.environ.setdefault('HERE', str(os.getpid()))")
    result = project(source, subprocess=True).check(passed=2)
    notes = set((result.folder / "notes.txt").read_text().splitlines())
    assert notes == {"on here False", "on there True", "off here False", "off there False"}
