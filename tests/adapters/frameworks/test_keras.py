"""The adapter of Keras, with each backend."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

if find_spec("keras") is None:
    pytest.skip("needs keras", allow_module_level=True)

PROGRAM = """
import warnings; warnings.simplefilter("ignore")
import keras
import numpy as np
from pytest_repro import digest, pinned
from pytest_repro.adapters import active_adapters, find_kind_name, flatten
from pytest_repro.core.runs.pytree import iter_leaves

def read(value):
    return {path: leaf.kind for path, leaf, _ in iter_leaves(value, "x", flatten)}

def train():
    layers = keras.layers
    model = keras.Sequential([layers.Input((4,)), layers.Dense(3), layers.Dropout(0.5), layers.Dense(1),
                              layers.Dense(1, name="head")])
    model.compile(optimizer="adam", loss="mse", metrics=["mae"])
    model.fit(np.ones((8, 4)), np.ones((8, 1)), verbose=0)
    return model, keras.ops.convert_to_numpy(keras.random.normal((2,)))

class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.encoder = keras.layers.Dense(2)
        self.blocks = [keras.layers.Dense(2), keras.layers.Dense(2)]
    def call(self, x):
        return self.blocks[1](self.blocks[0](self.encoder(x)))

runs = []
for _ in range(2):  # names count up, values are the same
    with pinned(1):
        runs.append(train())
(a, x), (b, y) = runs
assert a.layers[0].name != b.layers[0].name
assert digest(a) == digest(b) and digest(a.optimizer) == digest(b.optimizer) and digest(x) == digest(y)
assert digest(a) != digest(keras.models.clone_model(a))
paths = read(a)
assert {".layers['dense'].kernel", ".layers['dense_1'].bias", ".layers['head'].kernel",
        ".layers['dropout'].seed_generator_state"} < set(paths), paths
assert paths[".layers['dense'].kernel"] == "float32[4, 3]"
assert {".iteration", ".learning_rate", ".variables[2]"} < set(read(a.optimizer))
assert {".total", ".count"} == set(read(a.metrics[0]))
net = Net()
net(np.ones((1, 4)))
assert {".encoder.kernel", ".blocks[1].bias"} < set(read(net)), read(net)
assert (find_kind_name(net), find_kind_name(a.optimizer)) == ("module", "optimiser")
try:
    digest(a.inputs[0])
except TypeError as error:
    assert str(error).startswith("value is a symbolic tensor: it has a shape, but no values"), error
class Scaled(keras.Layer):
    def __init__(self, number):
        super().__init__()
        self.scale, self.steps, self.rate = keras.ops.full((2,), number), [np.full(1, number)], number
assert set(read(Scaled(1.0))) == {".scale", ".steps[0]"}
assert digest(Scaled(1.0)) == digest(Scaled(1.0)) != digest(Scaled(2.0))
lookups = [keras.layers.StringLookup(vocabulary=list(words)) for words in ("ab", "ab", "ac")]
assert digest(lookups[0]) == digest(lookups[1]) != digest(lookups[2])
bins = keras.layers.Discretization(bin_boundaries=[1.0, 2.0])
assert read(bins) == {".bin_boundaries": "float64[2]"}
adapter = active_adapters()["keras"]
keras.random.normal((2,))
restore, key = adapter.save_global_states(), adapter.global_states_key()
expected = keras.ops.convert_to_numpy(keras.random.normal((2,)))
keras.utils.set_random_seed(5)
restore()
assert adapter.global_states_key() == key
assert (keras.ops.convert_to_numpy(keras.random.normal((2,))) == expected).all()
put_back, trained = adapter.save_variables(a), (digest(a), digest(a.optimizer))
a.fit(np.ones((8, 4)), np.ones((8, 1)), verbose=0)
assert digest(a) != trained[0]
put_back()
assert (digest(a), digest(a.optimizer)) == trained
assert adapter.save_variables(1) is None
print(adapter.environment()["keras backend"])
"""


@pytest.mark.parametrize("backend", ["jax", "torch", "tensorflow"])
def test_models_optimizers_metrics_and_seeds(backend: str) -> None:
    if find_spec(backend) is None:
        pytest.skip(f"needs {backend}")
    environ = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environ, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == [backend]
