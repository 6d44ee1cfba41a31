"""Takes from a recording what is told of many runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import Any

from pytest_repro.core.plan.level import is_number, is_prediction, last_steps, plain
from pytest_repro.core.runs.observation import Observation, label
from pytest_repro.core.runs.run import Run
from pytest_repro.core.runs.run_summary import Gathered
from pytest_repro.engine.runs.distance import kept
from pytest_repro.engine.runs.recording import Recording
from pytest_repro.values.spill_store import Shelf

_NO_WEIGHTS = (".running_mean", ".running_var")
_STATE = (".state", ".param_groups")  # of an optimiser

_REAL = ("int", "uint", "bool", "float", "bfloat")


def gathered(
    seed: int, run: Run, seconds: float, recording: Recording, shelf: Shelf, weights: bool = False
) -> Gathered:
    """What *run* has shown.

    Args:
        seed: Of the run.
        run: Its record.
        seconds: That its body took.
        recording: What it recorded, whose values are on *shelf*.
        shelf: Still open.
        weights: Whether weights are read as well.
    """
    seen = recording.observations().values()
    last = last_steps({each.key: each for each in seen}).values()
    numbers = _read((each for each in last if is_number(each)), shelf)
    return Gathered(
        seed, run.outcome, run.error, seconds, _digest(seen),
        {name: float(found[0]) for name, found in numbers.items()},
        _read((each for each in last if is_prediction(each)), shelf),
        _read(_weights(last), shelf) if weights else {},
        {label(each.key, False): each.key[1] for each in last if is_number(each) or is_prediction(each)},
        {label(each.key, False): each.kind for each in last if plain(each.key) and not is_number(each)},
    )  # fmt: skip


def _weights(last: Iterable[Observation]) -> list[Observation]:
    arrays = [each for each in last if each.shape != () and "float" in each.element]
    inside = [each for each in arrays if not plain(each.key) and not each.key[2].startswith(_STATE)]
    return [each for each in inside or arrays if not each.key[2].endswith(_NO_WEIGHTS)]


def _read(found: Iterable[Observation], shelf: Shelf) -> dict[str, Any]:
    """The numbers of each, by name; what is no real number, or was not kept, is left out."""
    from pytest_repro.values.dtypes import numbers

    read: dict[str, Any] = {}
    for each in found:
        if each.element.startswith(_REAL) and (values := kept(each.content, shelf)) is not None:
            read[label(each.key, False)] = numbers(each.element, values[:])
    return read


def _digest(seen: Iterable[Observation]) -> str:
    found = blake2b(digest_size=16)
    for each in seen:
        content = each.content if isinstance(each.content, bytes) else each.content.digest.encode()
        head = f"{each.key!r} {each.kind} {len(content)}:"
        found.update(head.encode() + content)
    return found.hexdigest()


By = Mapping[str, Any]


def in_all(runs: Iterable[Gathered], of: Callable[[Gathered], By]) -> dict[str, list[Any]]:
    """What every run has shown, by name, in the order of the first; what one lacks is left out."""
    every = [of(each) for each in runs]
    shared = [name for name in (every[0] if every else ()) if all(name in each for each in every)]
    return {name: [each[name] for each in every] for name in shared}
