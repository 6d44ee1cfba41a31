"""Levels of reproducibility: the bits, the process, or the outcome alone.

Chen et al. (Towards Training Reproducible Deep Learning Models, ICSE 2022,
https://arxiv.org/abs/2202.02326) judge a training by criteria of its outcome, the metrics and the
predictions, and of its process, the losses on the way, apart from equal weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from pytest_repro.core.runs.observation import Key, Observation, format_key

Level = Literal["bitwise", "process", "outcome"]

LEVELS: tuple[Level, ...] = ("bitwise", "process", "outcome")
"""From the strictest on: what is equal at one is equal at those that follow.

- ``bitwise``: every value observed is equal: weights, gradients, optimisers, everything.
- ``process``: every step of what is recorded as a number or as text, and of predictions, is equal.
- ``outcome``: the last step of each of these is equal.

A number may stand in an array of floats of one element, as a loss of shape (1,) does. Predictions are
arrays of integers or bools, of any shape but that of a single number. Of either counts what is recorded
itself, or in dicts, lists and tuples; what a module, an optimiser or an object has inside is part of
neither level. Equal means bit for bit, or within the tolerance that is given.
"""


class LevelResult(NamedTuple):
    """The level that a test was asked for, and the strictest that its runs have reached."""

    requested: Level
    reached: Level | Literal["none"]


def is_recorded_directly(key: Key) -> bool:
    """Whether what has *key* was recorded itself, or in dicts, lists and tuples."""
    name, _, path = key
    within = name.rpartition(".")[2] == "locals"  # of a rank they are rank0.locals
    return "." not in (path[1:] if within else path)


def is_number(observation: Observation) -> bool:
    """Whether *observation* is one number, or one text."""
    one = all(length == 1 for length in observation.shape)
    return (
        one
        and is_recorded_directly(observation.key)
        and (observation.shape == () or "float" in observation.dtype)
    )


def is_prediction(observation: Observation) -> bool:
    """Whether *observation* is an array of integers or bools."""
    return (
        observation.shape != ()
        and is_recorded_directly(observation.key)
        and observation.dtype.startswith(("int", "uint", "bool"))
    )


ARRAY_EXCLUSION = "of arrays, those of integers and bools count"
"""Why an array that was recorded itself is part of neither level."""


def explain_exclusion(observation: Observation) -> str:
    """What *observation* is, and why it is part of neither level: ``loss float32[1]: of arrays, …``."""
    own = is_recorded_directly(observation.key)
    why = ARRAY_EXCLUSION if own else "a module or an object has it inside"
    return f"{format_key(observation.key, False)} {observation.kind}: {why}"


def select_at_level(
    level: Level, observations: Mapping[Key, Observation], reference: Mapping[Key, Observation] | None = None
) -> Mapping[Key, Observation]:
    """What of *observations* counts at *level*, in their order.

    Args:
        level: Asked.
        observations: Of one run.
        reference: What counts of the run that it is compared with: at ``outcome`` last steps are called
            alike, however many there were.
    """
    if level == "bitwise":
        return observations
    kept = {key: each for key, each in observations.items() if is_number(each) or is_prediction(each)}
    if level == "process":
        return kept
    there = {(name, path): (name, step, path) for name, step, path in reference or ()}
    last = select_last_steps(kept)
    return {there.get((each.key[0], each.key[2]), key): each for key, each in last.items()}


def select_last_steps(observations: Mapping[Key, Observation]) -> dict[Key, Observation]:
    """The last of each series, in the order in which the series began."""
    last = {(name, path): (name, step, path) for name, step, path in observations}
    return {key: observations[key] for key in last.values()}
