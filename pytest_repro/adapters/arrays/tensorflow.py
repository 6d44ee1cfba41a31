"""tensorflow: tensors, variables, `tf.Module`, seeds.

Seeded: the global seed (`tf.random.set_seed`) and the global generator.
Restored: the global seed, what derives seeds from it, the global generator, TF32, eager functions. What an op
  with a seed of its own has drawn cannot be read: such ops begin again.
Switches: `enable_op_determinism()`, only in other interpreters, as it cannot be turned off. Call it in
  conftest.py to have it in this one.
Read: tensors of every dtype, text included, variables, ragged and sparse tensors, `tf.Module` by path, with
  the tensors and arrays that it holds.
Captured: tensors of numbers, variables, modules, generators.
Environment: version, devices, op determinism, TF32, threads.
Limits: symbolic tensors and data sets cannot be recorded. The number of threads is fixed once TensorFlow has
  started. No device is started.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import tensorflow as tf

from pytest_repro.adapters import Adapter
from pytest_repro.adapters.arrays import _tf_seeds as _seeds
from pytest_repro.adapters.arrays._tf_values import flatten_tensorflow, is_array
from pytest_repro.core.plan.plan import Deterministic
from pytest_repro.core.runs.pytree import FlattenResult
from pytest_repro.interpose.seeding import Effect

_config: Any = sys.modules.get("tensorflow.python.framework.config")


@contextmanager
def _op_determinism(wanted: bool) -> Iterator[None]:
    """Enables op determinism. After the block, a function that TensorFlow does not export disables it.

    What has been compiled in the block keeps it.
    """
    if not wanted or _read_determinism() == "True":
        yield
        return
    tf.config.experimental.enable_op_determinism()
    try:
        yield
    finally:
        if hasattr(_config, "disable_op_determinism"):
            _config.disable_op_determinism()


class TensorFlow(Adapter):
    """Tensors, variables, modules, seeds."""

    immutable_arrays: ClassVar[bool] = True
    settings: ClassVar = {
        "tensorflow TF32": (
            tf.config.experimental.tensor_float_32_execution_enabled,
            tf.config.experimental.enable_tensor_float_32_execution,
        ),
        "tensorflow eager functions": (tf.config.functions_run_eagerly, tf.config.run_functions_eagerly),
    }

    def flatten(self, value: Any) -> FlattenResult:
        return flatten_tensorflow(value)

    def kind_name(self, value: object) -> str:
        kind = type(value)
        if issubclass(kind, (tf.random.Generator, _seeds.GlobalSeed)):
            return "tensorflow generator"
        return "module" if issubclass(kind, tf.Module) else ""

    def is_array(self, value: object) -> bool:
        return is_array(value)

    def copy_array(self, array: Any) -> Any:
        return tf.identity(array)

    def save_variables(self, value: Any) -> Callable[[], object] | None:
        is_variable = issubclass(type(value), tf.Variable)
        if not is_variable and not issubclass(type(value), tf.Module):
            return None
        saved = [(each, each.read_value()) for each in ([value] if is_variable else value.variables)]
        return lambda: [each.assign(before) for each, before in saved]

    def copy_at_offset(self, array: Any, offset: int) -> Any:
        if offset:
            raise ValueError(f"offset {offset} of a tensor of TensorFlow: it chooses where tensors begin")
        return tf.identity(array)

    def concatenate(self, arrays: Sequence[Any]) -> Any:
        return tf.concat(list(arrays), 0)

    seed = staticmethod(_seeds.seed_all)
    save_global_states = staticmethod(_seeds.save_states)
    global_states_key = staticmethod(_seeds.read_key)
    patch_entropy = staticmethod(_seeds.patch_entropy)

    def global_generators(self) -> Mapping[str, object]:
        return {"tensorflow": _seeds.GLOBAL_SEED}

    def seeding_functions(self) -> Iterable[tuple[Any, str, Effect]]:
        return (tf.random, "set_seed", "seeds"), (tf.random, "set_global_generator", "seeds")

    def get_state(self, generator: object) -> str | None:
        state = self.state_key(generator)
        return None if state is None else json.dumps(state)

    def set_state(self, generator: Any, state: str) -> None:
        saved = json.loads(state)
        if isinstance(generator, _seeds.GlobalSeed):
            number, words = saved
            generator.write((number, words and (words[0], tuple(words[1]), words[2])))
        else:
            generator.state.assign(saved)

    def state_key(self, generator: Any) -> object:
        if issubclass(type(generator), tf.random.Generator):
            return generator.state.numpy().tolist()
        return generator.read() if isinstance(generator, _seeds.GlobalSeed) else None

    def state_api_hint(self, generator: object) -> str:
        is_global = isinstance(generator, _seeds.GlobalSeed)
        return "tf.random.set_seed(…)" if is_global else ".state, .state.assign(…)"

    @contextmanager
    def deterministic(self, mode: Deterministic) -> Iterator[None]:
        """Restores the settings. Op determinism is set only in a companion."""
        before = dict(self.switch_values())
        with _seeds.seed_new_generator(), _op_determinism(self.is_companion and mode is not False):
            try:
                yield
            finally:
                for name, value in before.items():
                    self.set_switch(name, value)

    def why_not_forkable(self) -> str:
        return "TensorFlow has started its threads" if _seeds.is_started() else ""

    def environment(self) -> dict[str, str]:
        return {"tensorflow": tf.__version__, "tensorflow devices": _describe_devices()}

    def flags(self) -> dict[str, str]:
        threading = tf.config.threading
        counts = threading.get_intra_op_parallelism_threads(), threading.get_inter_op_parallelism_threads()
        return {
            "tensorflow op determinism": _read_determinism(),
            "tensorflow threads": f"{counts[0]} and {counts[1]}",  # 0: as many as there are cores
            **self.switches(),
        }


def _read_determinism() -> str:
    is_known = hasattr(_config, "is_op_determinism_enabled")
    return str(_config.is_op_determinism_enabled()) if is_known else "unknown"


def _describe_devices() -> str:
    """The devices; before TensorFlow has started them, what they will be if that is certain."""
    if not _seeds.is_started():
        return "not started" if tf.test.is_built_with_gpu_support() else "CPU"
    kinds = [device.device_type for device in tf.config.list_logical_devices()]
    return ", ".join(kinds)


adapter = TensorFlow()
