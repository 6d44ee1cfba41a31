"""What counts of a run's observations at a level of reproducibility."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from pytest_repro.core.plan.plan import Level
from pytest_repro.core.runs.observation import Key, Observation, format_key

ARRAY_EXCLUSION = "of arrays, those of integers and bools count"
"""Why a directly recorded array of floats counts at neither ``process`` nor ``outcome``."""


Agreeing = Literal["", "numbers", "close numbers", "parts"]
"""What agrees while parts of modules and objects do not: every recorded number, or most of the parts."""


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


def explain_exclusion(observation: Observation) -> str:
    """Why *observation* counts at neither ``process`` nor ``outcome``: ``loss float32[1]: of arrays, …``."""
    why = ARRAY_EXCLUSION if is_recorded_directly(observation.key) else "a module or an object has it inside"
    return f"{format_key(observation.key, False)} {observation.kind}: {why}"


def select_at_level(
    level: Level, observations: Mapping[Key, Observation], reference: Mapping[Key, Observation] | None = None
) -> Mapping[Key, Observation]:
    """The observations of one run that count at *level*, in their order.

    *reference* has those that count of the run that it is compared with: at ``outcome`` last steps get the
    key that they have there, even if the numbers of steps differ.
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
