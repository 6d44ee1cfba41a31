"""Levels of reproducibility: all bits, the process, or only the outcome.

Chen et al. (Towards Training Reproducible Deep Learning Models, ICSE 2022, https://arxiv.org/abs/2202.02326)
compare trainings by their weights, and also by their outcome, metrics and predictions, and by their process,
the losses during training.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from pytest_repro.core.runs.observation import Key, Observation

Level = Literal["bitwise", "process", "outcome"]

LEVELS: tuple[Level, ...] = ("bitwise", "process", "outcome")
"""Levels from the strictest on: runs that agree at one level agree at the following ones.

- ``bitwise``: all observed values are equal: weights, gradients, optimiser states, everything.
- ``process``: all steps of recorded numbers, texts and predictions are equal.
- ``outcome``: the last steps of these are equal.

An array of floats of one element, such as a loss of shape (1,), is a number. Predictions are arrays of
integers or bools of any shape but (). Values count if they are recorded directly or in dicts, lists and
tuples, and not if they are inside a module, an optimiser or another object. Equal means bit for bit, or
within the given tolerance.
"""


class LevelResult(NamedTuple):
    """The requested level of a test, and the strictest one that its runs reached."""

    requested: Level
    reached: Level | Literal["none"]


def is_recorded_directly(key: Key) -> bool:
    """Whether the value of *key* was recorded itself, or in dicts, lists and tuples."""
    name, _, path = key
    is_local = name.rpartition(".")[2] == "locals"  # "rank0.locals" in a rank
    return "." not in (path[1:] if is_local else path)


def is_number(observation: Observation) -> bool:
    """Whether *observation* is one number, or one text."""
    return (
        all(length == 1 for length in observation.shape)
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
"""Why a directly recorded array of floats counts at neither ``process`` nor ``outcome``."""


def explain_exclusion(observation: Observation) -> str:
    """Why *observation* counts at neither ``process`` nor ``outcome``: ``loss float32[1]: of arrays, …``."""
    from pytest_repro.core.runs.observation import format_key  # not at the start of every session

    why = ARRAY_EXCLUSION if is_recorded_directly(observation.key) else "a module or an object has it inside"
    return f"{format_key(observation.key, False)} {observation.kind}: {why}"


def select_at_level(
    level: Level, observations: Mapping[Key, Observation], reference: Mapping[Key, Observation] | None = None
) -> Mapping[Key, Observation]:
    """The observations of one run that count at *level*, in their order.

    Args:
        level: Requested level.
        observations: Observations of the run.
        reference: Those that count of the run that it is compared with: at ``outcome`` last steps get the key
            that they have there, even if the numbers of steps differ.
    """
    if level == "bitwise":
        return observations
    selected = {key: each for key, each in observations.items() if is_number(each) or is_prediction(each)}
    if level == "process":
        return selected
    reference_keys = {(name, path): (name, step, path) for name, step, path in reference or ()}
    last = select_last_steps(selected)
    return {reference_keys.get((each.key[0], each.key[2]), key): each for key, each in last.items()}


def select_last_steps(observations: Mapping[Key, Observation]) -> dict[Key, Observation]:
    """The last step of each series, in the order in which the series start."""
    last = {(name, path): (name, step, path) for name, step, path in observations}
    return {key: observations[key] for key in last.values()}
