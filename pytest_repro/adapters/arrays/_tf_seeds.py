"""TensorFlow's global seed and its global generator."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy
import tensorflow as tf

from pytest_repro.adapters import EntropySource
from pytest_repro.adapters._random_global import read_state
from pytest_repro.interpose.patch import Patch, patch_everywhere

_contexts: Any = sys.modules.get("tensorflow.python.eager.context")
_generators: Any = sys.modules.get("tensorflow.python.ops.stateful_random_ops")
_IS_KNOWN = hasattr(_contexts, "context_safe") and hasattr(_generators, "global_generator")
"""Whether this version keeps its seed and generator where they are read: these names are private."""
_current_seed = [0]
_seeded_key: list[object] = [None]
"""The last seed, and :func:`_read_derived_key` after it: setting it again takes 5 µs."""


class GlobalSeed:
    """The seeds that ops without a seed of their own get: from ``tf.random.set_seed`` on."""

    def read(self) -> tuple[Any, Any]:
        """The global seed and the state of the generator that derives seeds; starts no device."""
        context = _contexts.context_safe() if _IS_KNOWN else None
        generator = getattr(context, "_rng", None)
        return getattr(context, "_seed", None), None if generator is None else generator.getstate()

    def write(self, state: tuple[Any, Any]) -> None:
        seed, words = state
        context = _contexts.context_safe() if _IS_KNOWN else None
        if context is None:
            return
        if words is None:
            context._seed = seed
            return
        tf.random.set_seed(0 if seed is None else seed)  # also forgets how much each kernel has drawn
        context._seed = seed
        context._rng.setstate(words)


GLOBAL_SEED = GlobalSeed()


def _read_derived_key() -> object:
    context: Any = _contexts.context_safe() if _IS_KNOWN else None
    derived = getattr(context, "_rng", None)
    return object() if derived is None else (context._seed, id(derived), read_state(derived))


def seed_all(seed: int) -> None:
    """Sets the global seed, and that of the global generator if there is one."""
    _current_seed[0] = seed
    # Once it has started, ops with a seed of their own have drawn as well.
    if is_started() or _seeded_key[0] != (seed, _read_derived_key()):
        tf.random.set_seed(seed)
        _seeded_key[0] = seed, _read_derived_key()
    if _IS_KNOWN and _generators.global_generator is not None:
        _generators.global_generator.reset_from_seed(seed)


@contextmanager
def seed_new_generator() -> Iterator[None]:
    """The global generator, if it is created in the block, begins with the last seed of :func:`seed_all`."""
    kind, real = tf.random.Generator, vars(tf.random.Generator).get("from_non_deterministic_state")
    if not _IS_KNOWN or real is None:
        yield
        return

    def from_seed(cls: Any, alg: Any = None) -> Any:
        is_global = sys._getframe(1).f_code.co_name == "get_global_generator"
        arguments = {} if alg is None else {"alg": alg}
        if is_global:
            return cls.from_seed(_current_seed[0], **arguments)
        return real.__get__(None, cls)(**arguments)  # also if others have replaced it

    replacement = classmethod(from_seed)
    kind.from_non_deterministic_state = replacement
    try:
        yield
    finally:
        if vars(kind).get("from_non_deterministic_state") is replacement:
            kind.from_non_deterministic_state = real


@contextmanager
def patch_entropy(source: EntropySource) -> Iterator[None]:
    """``Generator.from_non_deterministic_state()`` draws from *source*."""

    def draw(shape: Any, dtype: Any = tf.int64) -> Any:
        words = numpy.frombuffer(source.randbytes(8 * int(numpy.prod(shape))), numpy.int64)
        return tf.cast(tf.reshape(tf.constant(words), shape), dtype)

    name = "non_deterministic_ints"
    with patch_everywhere(
        [Patch(_generators, name, draw, owner_only=True)] if hasattr(_generators, name) else []
    ):
        yield


def save_states() -> Callable[[], None]:
    """Saves the global seed and the global generator. The function it returns restores both."""
    context: Any = _contexts.context_safe() if _IS_KNOWN else None
    number, derived = getattr(context, "_seed", None), getattr(context, "_rng", None)
    position, words = (None, None) if derived is None else (read_state(derived), derived.getstate())
    generator = _generators.global_generator if _IS_KNOWN else None
    state = None if generator is None else generator.state.numpy()

    def restore() -> None:
        if derived is None:
            GLOBAL_SEED.write((number, words))
        elif context._rng is not derived or read_state(derived) != position or context._seed != number:
            if is_started():
                tf.random.set_seed(0)  # forgets how much each kernel has drawn
            context._seed, context._rng = number, derived
            if read_state(derived) != position:
                derived.setstate(words)
        if _IS_KNOWN:
            _generators.global_generator = generator
        if generator is not None:
            generator.state.assign(state)

    return restore


def read_key() -> object:
    """Equal until the global seed or the global generator is used."""
    context = _contexts.context_safe() if _IS_KNOWN else None
    derived = getattr(context, "_rng", None)
    generator = _generators.global_generator if _IS_KNOWN else None
    state = None if generator is None else generator.state.numpy().tobytes()
    return getattr(context, "_seed", None), derived and read_state(derived), state


def is_started() -> bool:
    """Whether TensorFlow has started its devices."""
    context = _contexts.context_safe() if _IS_KNOWN else None
    return bool(getattr(context, "_initialized", False))
