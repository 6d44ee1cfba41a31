"""Brings a run over from where it was made: what was observed at once, large values when asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from pytest_repro.companions.serialize_run import packed, unpacked
from pytest_repro.core.plan.cell import Cell
from pytest_repro.core.runs.observation import Key, Observation, Stored
from pytest_repro.core.runs.run import Run
from pytest_repro.engine.runs.recording import Recorded
from pytest_repro.engine.runs.remote_recording import Received
from pytest_repro.engine.runs.trial import Trial
from pytest_repro.values.dtypes import itemsize
from pytest_repro.values.spill_store import Shelf

_PIECE = 2**20
# Bytes sent in one message: a value need not be held twice.


def plain(cell: Cell) -> tuple[Any, ...]:
    """*cell* as execnet sends it."""
    return cell.axis, cell.value, dict(cell.setting), cell.at


def take(trial: Trial, companion: Any, cell: Cell, said: str) -> Run:
    """Takes the run that a companion has made, and fetches of its values what must be measured.

    Args:
        trial: Of the runs.
        companion: Which still holds the values.
        cell: Under what it was run.
        said: The run on the wire.

    Returns:
        The run.

    Raises:
        Lost: It cannot be read: the two sides are not of one make, though of one version.
    """
    try:
        run, observations = unpacked(said, cell)
    except (KeyError, TypeError, ValueError) as error:
        from pytest_repro.companions.companion import Lost  # execnet is there by now, not before

        why = f"gave an answer that cannot be read: is its pytest-repro this one? ({error!r})"
        raise Lost(f"the companion for {companion.interpreter.called} {why}") from None
    received = Received(observations, run.left_out, trial.pictured)
    trial.received(cell, run, received, partial(fetched, companion))
    return run


def fetched(companion: Any, key: Key, logits: bool = False) -> Iterable[memoryview] | None:
    """The bytes of a value over there, or of *logits* beside it, in pieces; None where they were not kept."""
    companion.send("fetch", logits, *key)
    word, first = companion.receive("while it sent a value")
    return _pieces(companion, first) if word == "piece" else None


def _pieces(companion: Any, first: bytes) -> Iterator[memoryview]:
    word, piece = "piece", first
    while word == "piece":
        yield memoryview(piece)
        word, piece = companion.receive("while it sent a value")


class Kept:
    """The last run of a companion, whose values can be fetched until the next one."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._last: tuple[Trial, Recorded] | None = None

    def said(self, trial: Trial, run: Run, recording: Recorded) -> tuple[str, str]:
        """The answer that tells of *run*; its values, on the shelf of *trial*, are kept."""
        self.drop()
        self._last = trial, recording
        return "ran", packed(run, recording.observations().values())

    def fetch(self, logits: bool, *key: Any) -> None:
        """Sends the value of *key*, or the *logits* beside it, in pieces of whole elements, then an end."""
        assert self._last is not None
        trial, recording = self._last
        found = recording.observations()[key]
        for piece in _rows(found) if logits else _sliced(found, trial.shelf):
            self._channel.send(("piece", piece))
        self._channel.send(("end", b""))

    def drop(self) -> None:
        """Lets go of the values."""
        if self._last is not None:
            self._last[0].close()
            self._last = None


def _sliced(found: Observation, shelf: Shelf) -> Iterator[bytes]:
    kept = shelf.get(found.content) if isinstance(found.content, Stored) else None
    if kept is None:
        return
    size = itemsize(found.element)
    step, at = max(1, _PIECE // size) * size, 0
    while piece := bytes(kept[at : at + step]):
        yield piece
        at += len(piece)


def _rows(found: Observation) -> Iterator[bytes]:
    if found.beside is not None and found.beside.logits is not None:
        yield from map(bytes, found.beside.logits().pieces())
