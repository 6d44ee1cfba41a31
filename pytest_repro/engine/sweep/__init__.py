"""Runs over seeds and modes: what each run shows, read from its recording."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

from pytest_repro.core.runs.observation import (
    Observation,
    format_key,
    is_number,
    is_prediction,
    is_recorded_directly,
    select_last_steps,
)
from pytest_repro.core.runs.run import Run, RunSummary
from pytest_repro.engine.runs.distance import load_content
from pytest_repro.engine.runs.recording import RecordingBase
from pytest_repro.values.spill_store import SpillStore

_RUNNING_STATISTICS = (".running_mean", ".running_var")
_OPTIMISER_PATHS = (".state", ".param_groups")
_REAL_DTYPES = ("int", "uint", "bool", "float", "bfloat")


def summarize_run(
    seed: int,
    run: Run,
    seconds: float,
    recording: RecordingBase,
    store: SpillStore,
    with_weights: bool = False,
) -> RunSummary:
    """Summarizes *run*, whose body took *seconds*; *store*, still open, has the values of *recording*."""
    observations = recording.observations().values()
    last = select_last_steps({each.key: each for each in observations}).values()
    numbers = [each for each in last if is_number(each)]
    predictions = [each for each in last if is_prediction(each)]
    others = (each for each in last if is_recorded_directly(each.key) and not is_number(each))
    return RunSummary(
        seed,
        run.outcome,
        run.error,
        seconds,
        _digest_observations(observations),
        {name: float(found[0]) for name, found in _read_numbers(numbers, store).items()},
        _read_numbers(predictions, store),
        _read_numbers(_select_weights(last), store) if with_weights else {},
        {format_key(each.key, False): each.key[1] for each in [*numbers, *predictions]},
        {format_key(each.key, False): each.kind for each in others},
    )


def _select_weights(observations: Iterable[Observation]) -> list[Observation]:
    arrays = [each for each in observations if each.shape != () and "float" in each.dtype]
    nested = (each for each in arrays if not is_recorded_directly(each.key))
    inside = [each for each in nested if not each.key[2].startswith(_OPTIMISER_PATHS)]
    return [each for each in inside or arrays if not each.key[2].endswith(_RUNNING_STATISTICS)]


def _read_numbers(observations: Iterable[Observation], store: SpillStore) -> dict[str, Any]:
    """The numbers of each observation, by name; skips what is not a real number, or was not kept."""
    from pytest_repro.values.dtypes import decode_numbers

    read: dict[str, Any] = {}
    for each in observations:
        if each.dtype.startswith(_REAL_DTYPES) and (values := load_content(each.content, store)) is not None:
            read[format_key(each.key, False)] = decode_numbers(each.dtype, values[:])
    return read


def _digest_observations(observations: Iterable[Observation]) -> str:
    found = blake2b(digest_size=16)
    for each in observations:
        content = each.content if isinstance(each.content, bytes) else each.content.digest.encode()
        found.update(f"{each.key!r} {each.kind} {each.containers} {len(content)}:".encode() + content)
    return found.hexdigest()
