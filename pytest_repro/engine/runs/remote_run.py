"""A run in another interpreter: its observations are transferred at once, large values on request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from pytest_repro.companions.serialize_run import decode_run, encode_run
from pytest_repro.core.compare.mismatch import Difference
from pytest_repro.core.compare.table import RowMoves, iter_tables
from pytest_repro.core.plan.plan import Cell, ToleranceFunction
from pytest_repro.core.runs.observation import ContentRef, Key, Leaf, Observation, TokenContext
from pytest_repro.core.runs.run import Run
from pytest_repro.engine.runs.distance import can_measure, load_content, measure_distance, store_logits
from pytest_repro.engine.runs.recording import RecordingBase
from pytest_repro.engine.runs.tables.moved_rows import find_moves
from pytest_repro.engine.runs.trial import Trial
from pytest_repro.values.spill_store import SpillStore

_MESSAGE_BYTES = 2**20
# Bytes per message, so that no value is held twice.


class ValueFetcher(Protocol):
    """Fetches values from where they were recorded."""

    def __call__(self, key: Key, logits: bool = False) -> Iterable[memoryview] | None:
        """The bytes of a large value, or the *logits* of tokens; None if they were not kept there."""


class RemoteRecording(RecordingBase):
    """Observations from another interpreter: digests of large values, bytes of small ones.

    Args:
        observations: By key, in the order of recording.
        not_compared: Local variables that are not compared; see :class:`.Run`.
        for_plots: Whether differing elements are counted by distance and place.
    """

    def __init__(
        self,
        observations: Mapping[Key, Observation],
        not_compared: Mapping[str, str] = {},
        for_plots: bool = False,
    ) -> None:
        self._observations, self._for_plots = dict(observations), for_plots
        self._differences: dict[Key, Difference] = {}
        self.not_compared = not_compared
        self.row_moves: dict[Key, RowMoves] = {}

    def __len__(self) -> int:
        return len(self._observations)

    def observations(self) -> dict[Key, Observation]:
        return self._observations

    def measure_against(
        self,
        reference: RecordingBase,
        store: SpillStore,
        tolerance_for: ToleranceFunction,
        mixed_dtypes: bool,
        fetch: ValueFetcher,
    ) -> None:
        """Measures what differs from *reference*, while the values can still be fetched."""
        for key, there in reference.observations().items():
            here = self._observations.get(key)
            if here is None or (there.kind, there.content) == (here.kind, here.content):
                continue
            values = load_content(there.content, store)
            if values is None or not can_measure(there, here, mixed_dtypes):
                continue
            pieces = fetch(key) if isinstance(here.content, ContentRef) else [memoryview(here.content)]
            if pieces is not None:
                self._differences[key] = measure_distance(
                    there, values, here, pieces, tolerance_for, self._for_plots
                )
        find = reference.get_observation
        tables = dict(iter_tables(self._observations))
        read = partial(_read, fetch)
        self.row_moves |= find_moves(tables, find, self._observations, store, read)

    def store_values(self, store: SpillStore, fetch: ValueFetcher) -> None:
        """Stores the large values, while they can be fetched: other runs are compared with them."""
        for key, each in self._observations.items():
            pieces = fetch(key) if isinstance(each.content, ContentRef) else None
            if pieces is not None:
                each = replace(each, content=store.put(_make_leaf(each, pieces)))
            if each.token_context is not None:
                beside = _attach_logits(each.token_context, partial(fetch, key, logits=True))
                each = replace(each, token_context=store_logits(beside, store))
            self._observations[key] = each

    def measure(self, reference: Observation, other: Observation) -> Difference | None:
        return self._differences.get(other.key)


def _read(fetch: ValueFetcher, found: Observation) -> memoryview | None:
    if isinstance(found.content, bytes):
        return memoryview(found.content)
    pieces = fetch(found.key)
    return None if pieces is None else memoryview(b"".join(pieces))


def _attach_logits(
    context: TokenContext, fetch_logits: Callable[[], Iterable[memoryview] | None]
) -> TokenContext:
    if context.load_logits is None:
        return context
    leaf = replace(context.load_logits(), read_chunks=lambda: fetch_logits() or ())
    return replace(context, load_logits=lambda: leaf)


def _make_leaf(observation: Observation, pieces: Iterable[memoryview]) -> Leaf:
    content = b"".join(pieces)
    return Leaf(
        observation.kind, observation.dtype, observation.shape, len(content), lambda: [memoryview(content)]
    )


def encode_cell(cell: Cell) -> tuple[Any, ...]:
    """*cell* as execnet sends it."""
    return cell.axis, cell.value, dict(cell.setting), cell.repeat_of


def receive_run(trial: Trial, companion: Any, cell: Cell, message: str) -> Run:
    """Adds the run that a companion made to *trial*, and fetches the values that must be measured.

    Args:
        trial: The runs so far.
        companion: Still holds the values.
        cell: The run's setting.
        message: The encoded run.

    Raises:
        InterpreterLost: The message cannot be read: the two packages differ.
    """
    try:
        run, observations = decode_run(message, cell)
    except (KeyError, TypeError, ValueError) as error:
        from pytest_repro.companions.companion import InterpreterLost  # execnet is imported by now

        why = f"gave an answer that cannot be read: is its pytest-repro this one? ({error!r})"
        raise InterpreterLost(f"the companion for {companion.interpreter.name} {why}") from None
    received = RemoteRecording(observations, run.not_compared, trial.with_plots)
    trial.add_remote(cell, run, received, partial(fetch_value, companion))
    return run


def fetch_value(companion: Any, key: Key, logits: bool = False) -> Iterable[memoryview] | None:
    """The bytes of a value in the companion, or its *logits*, in pieces; None if they were not kept."""
    companion.send("fetch", logits, *key)
    word, first = companion.receive("while it sent a value")
    return _receive_pieces(companion, first) if word == "piece" else None


def _receive_pieces(companion: Any, first_piece: bytes) -> Iterator[memoryview]:
    word, piece = "piece", first_piece
    while word == "piece":
        yield memoryview(piece)
        word, piece = companion.receive("while it sent a value")


class RemoteValues:
    """The last run of this companion, whose values can be fetched until the next one."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._last: tuple[Trial, RecordingBase] | None = None

    def keep_and_encode(self, trial: Trial, run: Run, recording: RecordingBase) -> tuple[str, str]:
        """The answer that describes *run*; keeps its values in the store of *trial*."""
        self.drop()
        self._last = trial, recording
        return "ran", encode_run(run, recording.observations().values())

    def send_value(self, logits: bool, *key: Any) -> None:
        """Sends the value of *key*, or its *logits*, in pieces of whole elements, then an end."""
        assert self._last is not None
        trial, recording = self._last
        found = recording.observations()[key]
        for piece in _iter_logits(found) if logits else _iter_pieces(found, trial.store):
            self._channel.send(("piece", piece))
        self._channel.send(("end", b""))

    def drop(self) -> None:
        """Drops the values."""
        if self._last is not None:
            self._last[0].close()
            self._last = None


def _iter_pieces(observation: Observation, store: SpillStore) -> Iterator[bytes]:
    kept = store.get(observation.content) if isinstance(observation.content, ContentRef) else None
    if kept is None:
        return
    from pytest_repro.values.dtypes import itemsize  # imports numpy

    size = itemsize(observation.dtype)
    step, at = max(1, _MESSAGE_BYTES // size) * size, 0
    while piece := bytes(kept[at : at + step]):
        yield piece
        at += len(piece)


def _iter_logits(observation: Observation) -> Iterator[bytes]:
    if observation.token_context is not None and observation.token_context.load_logits is not None:
        yield from map(bytes, observation.token_context.load_logits().read_chunks())
