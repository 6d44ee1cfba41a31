"""gymnasium: environments, vector environments, wrappers and spaces.

Seeded: nothing: environments and spaces have generators of their own; `env.reset(seed=…)` and
    `env.action_space.seed(…)` seed them. The first `reset()` and `sample()` without a seed draw one from the
    operating system.
Restored: the generators that a run of a test shares with the next, in a module fixture, to find the cause.
Switches: none.
Read: `env.unwrapped._np_random`, attributes of the environment and of each wrapper; spaces by their bounds,
    parts and generators: `space['camera'].low`.
Captured: arrays and generators of environments, and what gymnasium's own classes hold; spaces.
Environment: the version of gymnasium.
Limits: an `AsyncVectorEnv` and the state of a simulator in compiled code cannot be recorded: record
    observations and rewards. Functions of wrappers, durations and frames on a screen are not compared, nor is
    a generator that the operating system has seeded, until something is drawn from it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, NamedTuple

import gymnasium
import numpy
from gymnasium import Env, Space, Wrapper
from gymnasium.vector import AsyncVectorEnv, VectorEnv, VectorWrapper

from pytest_repro.adapters import Adapter
from pytest_repro.adapters._python_values import flatten_value
from pytest_repro.core.runs.observation import Leaf, Parts
from pytest_repro.core.runs.pytree import FlattenResult

_ENVIRONMENTS = (Env, VectorEnv)
_WRAPPERS = (Wrapper, VectorWrapper)
_FUNCTIONS = (FunctionType, MethodType, BuiltinFunctionType, partial, type)
_PLAIN = (int, float, str, type(None))
_SKIPPED = {
    "env",  # which is read as .unwrapped
    "env_fns", "_saved_kwargs", "_cached_spec", "metadata", "_metadata",  # how it was made
    "_np_random_seed",  # which _np_random tells
    "episode_start_time", "episode_start_times", "time_queue",  # of RecordEpisodeStatistics
    "screen", "clock", "surf", "isopen", "window", "mujoco_renderer",  # what is drawn on
}  # fmt: skip
_DERIVED = {"spaces", "low_repr", "high_repr", "bounded_below", "bounded_above", "_char_list", "_char_index",
            "_char_str", "stacked_feature_space", "batch_node_space", "batch_edge_space"}  # fmt: skip
"""Attributes of a space that its others determine."""


_MAX_SEED = 2**64  # seeds of users are smaller; the operating system draws 128 bits


def _is_unused(value: Any) -> bool:
    """Whether it is a generator that the operating system has seeded, and nothing was drawn from it.

    A vector environment makes such generators for its spaces.
    """
    if not issubclass(type(value), numpy.random.Generator):
        return False
    bits: Any = value.bit_generator
    entropy = getattr(getattr(bits, "seed_seq", None), "entropy", None)
    if not isinstance(entropy, int) or entropy < _MAX_SEED:
        return False
    return bool(type(bits)(numpy.random.SeedSequence(entropy)).state == bits.state)


class _Unused(NamedTuple):
    """An unused generator, whose state is no value; the diagnosis puts it back."""

    generator: Any


def _wrap_unused(value: object) -> object:
    return _Unused(value) if _is_unused(value) else value


def _iter_attributes(environment: object, prefix: str) -> Iterator[tuple[str, object]]:
    for name, value in vars(environment).items():
        if name == "spec":
            yield f"{prefix}.spec", getattr(value, "id", value)
        elif name not in _SKIPPED and not isinstance(value, _FUNCTIONS):
            yield f"{prefix}.{name}", value


def _make_numeric(value: object) -> object:
    """A number or text as a leaf that is also compared in local variables."""
    leaf = flatten_value(value) if isinstance(value, _PLAIN) else None
    return replace(leaf, numeric=True) if isinstance(leaf, Leaf) else _wrap_unused(value)


def _iter_wrappers(environment: Any) -> Iterator[tuple[str, Any]]:
    """Each wrapper and its path, then what they wrap."""
    prefix = ""
    while isinstance(environment, _WRAPPERS):
        yield prefix, environment
        environment, prefix = environment.env, f"{prefix}.env"
    yield ".unwrapped" if prefix else "", environment


def _iter_parts(environment: object) -> Iterator[tuple[str, object]]:
    for prefix, each in _iter_wrappers(environment):
        # What users hold in attributes of their own classes may be a duration.
        is_own = type(each).__module__.startswith("gymnasium.")
        for path, value in _iter_attributes(each, prefix):
            yield path, _make_numeric(value) if is_own else _wrap_unused(value)


def _flatten_environment(environment: object) -> FlattenResult:
    layers = [type(each) for _, each in _iter_wrappers(environment)]
    if issubclass(layers[-1], AsyncVectorEnv):
        return (
            "runs its environments in other processes and cannot be recorded: record observations and rewards"
        )
    return Parts(" of ".join(kind.__qualname__ for kind in layers), _iter_parts(environment))


def _iter_space(space: Any) -> Iterator[tuple[str, object]]:
    spaces = getattr(space, "spaces", ())
    for key, part in spaces.items() if isinstance(spaces, dict) else enumerate(spaces):
        yield f"[{key!r}]", part
    for name, value in vars(space).items():
        if name not in _DERIVED:
            suffix = ".shape" if name == "_shape" else f".{name}"
            yield suffix, str(value) if isinstance(value, numpy.dtype) else _wrap_unused(value)


class Gymnasium(Adapter):
    """Environments and spaces, with their generators."""

    def flatten(self, value: Any) -> FlattenResult:
        kind = type(value)
        if kind is _Unused:
            return Leaf("unused generator", "", (), 0, lambda: ())
        if issubclass(kind, Space):
            return Parts(kind.__qualname__, _iter_space(value), numeric=True)
        return _flatten_environment(value) if issubclass(kind, _ENVIRONMENTS) else None

    def list_members(self, value: object) -> Iterable[tuple[str, object]] | None:
        """What a wrapper wraps, as ``.unwrapped``."""
        if not issubclass(type(value), _WRAPPERS):
            return None
        *wrappers, wrapped = _iter_wrappers(value)
        return [wrapped, *(part for prefix, each in wrappers for part in _iter_attributes(each, prefix))]

    def kind_name(self, value: object) -> str:
        return "numpy generator" if type(value) is _Unused else ""

    def get_state(self, generator: Any) -> str | None:
        return json.dumps(generator.generator.bit_generator.state) if type(generator) is _Unused else None

    def set_state(self, generator: Any, state: str) -> None:
        generator.generator.bit_generator.state = json.loads(state)

    def environment(self) -> dict[str, str]:
        return {"gymnasium": gymnasium.__version__}


adapter = Gymnasium()
