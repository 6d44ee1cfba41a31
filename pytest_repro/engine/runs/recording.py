"""What one run records, in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import count
from types import FrameType
from typing import Any, ClassVar

from pytest_repro.adapters import Adapter, FastReader, active_adapters, flatten, flatten_known
from pytest_repro.core.compare.mismatch import Difference
from pytest_repro.core.compare.table import RowMoves
from pytest_repro.core.plan.plan import ToleranceFunction
from pytest_repro.core.runs.observation import Container, ContentRef, Key, Leaf, Observation, make_key_unique
from pytest_repro.core.runs.pytree import FlattenResult, LocalsBudget, iter_leaves, iter_numeric_leaves
from pytest_repro.engine.runs.distance import can_measure, load_content, measure_distance
from pytest_repro.engine.runs.local_variables import describe_skipped, iter_locals
from pytest_repro.engine.runs.tables.moved_rows import TableWatch
from pytest_repro.values.hashing import digest
from pytest_repro.values.renamed_leaf import rename_leaf
from pytest_repro.values.spill_store import SpillStore

INLINE_NBYTES = 512
"""Largest value, in bytes, that an observation holds itself: hashing would cost as much."""


def _decline_quick_read(value: object) -> None:
    """The quick reader of a type that has none."""


def _keep_names(value: object) -> object:
    return value


class RecordingBase:
    """What one run recorded, in this process or another."""

    __slots__: ClassVar[tuple[str, ...]] = ("not_compared", "row_moves")

    not_compared: Mapping[str, str]
    row_moves: Mapping[Key, RowMoves]

    def __len__(self) -> int:
        """Number of values recorded."""
        raise NotImplementedError

    def observations(self) -> dict[Key, Observation]:
        """Everything recorded so far, by key, in order."""
        raise NotImplementedError

    def get_observation(self, key: Key) -> Observation | None:
        """The value recorded under *key*."""
        return self.observations().get(key)

    def measure(self, reference: Observation, other: Observation) -> Difference | None:
        """The distance of *other*, observed here, from *reference*; None if it was not kept."""
        raise NotImplementedError

    def equals(self, other: RecordingBase) -> bool:
        """Whether both recorded the same values in the same order, bit for bit."""
        return list(self.observations().items()) == list(other.observations().items())


class Recording(RecordingBase):
    """Records a run; hashes and compares large values at once.

    The reference run stores its large values. Another run compares each of its own with the
    reference while the value can be read, and keeps only the digest.

    Args:
        store: Where the reference run's values are stored.
        tolerance_for: The tolerance of measured distances.
        reference: The recording it is compared with; None for the reference run.
        keep_values: Whether a run with a reference stores its values too.
        mixed_dtypes: Whether numbers of two dtypes are compared.
        for_plots: Whether differing elements are counted by distance and place.

    Attributes:
        rename: Replaces names that are others in each run.
    """

    __slots__ = (
        "_by_key", "_differences", "_entries", "_for_plots", "_keep_values", "_mixed_dtypes",
        "_passed_assertion", "_quick_readers", "_reference", "_step_counters", "_store", "_tables",
        "_tolerance_for", "rename",
    )  # fmt: skip

    def __init__(
        self,
        store: SpillStore,
        tolerance_for: ToleranceFunction,
        reference: RecordingBase | None = None,
        keep_values: bool = False,
        mixed_dtypes: bool = False,
        for_plots: bool = False,
    ) -> None:
        # An entry is an Observation, or (name, step, quick reader, what it read).
        self._entries: list[Any] = []
        self._by_key: dict[Key, Observation] = {}
        self._step_counters: defaultdict[str, count[int]] = defaultdict(count)
        self._quick_readers: dict[type, FastReader] = {}
        self._store, self._tolerance_for, self._for_plots = store, tolerance_for, for_plots
        self._keep_values, self._mixed_dtypes = keep_values or reference is None, mixed_dtypes
        self._reference = reference
        self._differences: dict[Key, Difference] = {}
        self._passed_assertion = ""
        self.rename: Callable[[Any], Any] = _keep_names
        self.not_compared: dict[str, str] = {}
        self._tables = TableWatch(None if reference is None else reference.get_observation, store)
        self.row_moves = self._tables.moves

    def note_assertion(self, name: str) -> None:
        """Notes that an assertion held: it is recorded as *name* if nothing else is recorded."""
        self._passed_assertion = name

    def record_assertion(self) -> None:
        """Records the assertion that held, if nothing else was recorded: such a test can fail too."""
        if self._passed_assertion and not self._entries:
            self.record(self._passed_assertion, True)

    def record(self, name: str, value: object) -> None:
        """Records *value* as it is now, as the next step of *name*.

        Raises:
            TypeError: Something in it cannot be read; the message names its path and type.
        """
        quick = self._quick_readers.get(type(value)) or self._find_quick_reader(type(value))
        # Counted in one step, so that recording threads do not take each other's number.
        step = next(self._step_counters[name])
        read = quick(value)
        if read is not None:
            self._entries.append((name, step, quick, read))
        else:
            self._entries += list(self._observe_leaves(name, step, value))
            self._tables.finish()

    def record_locals(self, frame: FrameType) -> None:
        """Records the arrays among local variables as ``locals.NAME``, and notes what is not compared."""
        budget = LocalsBudget()
        for name, value in iter_locals(frame):
            before = len(self._entries)
            for path, leaf, begun in iter_numeric_leaves(value, name, self._flatten_known, budget):
                containers = tuple((f".{name}{at}", kind) for at, kind in begun)
                try:
                    self._entries.append(self._observe(("locals", 0, f".{name}{path}"), leaf, containers))
                except Exception as error:  # it must not fail the test that holds it
                    budget.skip(path, value, f"cannot be read: {type(error).__name__}")
            if budget.skipped and name not in self._step_counters:
                is_whole = before == len(self._entries)
                with suppress(Exception):  # of a metaclass, say
                    self.not_compared |= describe_skipped(name, value, budget.skipped, is_whole, frame.f_code)
            budget.skipped.clear()
        self._tables.finish()

    def _find_quick_reader(self, kind: type) -> FastReader:
        for adapter in active_adapters().values():
            if kind in adapter.fast_readers:
                return self._quick_readers.setdefault(kind, adapter.fast_readers[kind])
        return self._quick_readers.setdefault(kind, _decline_quick_read)

    def _observe_leaves(self, name: str, step: int, value: object) -> Iterator[Observation]:
        for path, leaf, containers in iter_leaves(value, name, self._flatten):
            yield self._observe((name, step, path), leaf, containers)

    def _flatten(self, value: object) -> FlattenResult:
        return flatten(self.rename(value))

    def _flatten_known(self, value: object) -> FlattenResult:
        # Of local variables, names count only as keys of a dict.
        return flatten_known(self.rename(value) if issubclass(type(value), dict) else value)

    def _observe(self, key: Key, leaf: Leaf, containers: tuple[Container, ...]) -> Observation:
        leaf = rename_leaf(leaf, self.rename)
        beside = leaf.token_context
        if beside is not None:
            from pytest_repro.engine.runs.distance import store_logits

            beside = store_logits(beside, self._store if self._reference is None else None)
        content = self._read_content(leaf)
        found = Observation(
            key, leaf.kind, leaf.dtype, leaf.shape, content, leaf.metadata, beside, containers
        )
        self._tables.add(found, leaf, containers)
        if self._reference is not None and isinstance(found.content, ContentRef):
            self._store_difference(self._reference.get_observation(key), found, leaf)
        return found

    def _read_content(self, leaf: Leaf) -> bytes | ContentRef:
        if leaf.nbytes <= INLINE_NBYTES or leaf.token_context is not None:
            return b"".join(bytes(piece) for piece in leaf.read_chunks())
        return (
            self._store.put(leaf) if self._keep_values else ContentRef(digest(leaf.kind, leaf.read_chunks()))
        )

    def _store_difference(self, reference: Observation | None, observation: Observation, leaf: Leaf) -> None:
        """Measures a large value at once: later it may be gone or overwritten."""
        if reference is None or not can_measure(reference, observation, self._mixed_dtypes):
            return
        values = load_content(reference.content, self._store)
        if values is not None and (reference.kind, reference.content) != (
            observation.kind,
            observation.content,
        ):
            pieces = leaf.read_chunks()
            self._differences[observation.key] = measure_distance(
                reference, values, observation, pieces, self._tolerance_for, self._for_plots
            )

    def __len__(self) -> int:
        return len(self._entries)

    def read_since(self, count: int) -> list[Observation]:
        """What was recorded after the first *count* values."""
        known = _map_readers_to_adapters()
        return [e if isinstance(e, Observation) else _decode_entry(e, known) for e in self._entries[count:]]

    def equals(self, other: RecordingBase) -> bool:
        if isinstance(other, Recording) and self._entries == other._entries:
            return True
        # A quick reader of one device is not that of another: entries differ, values do not.
        return super().equals(other)

    def observations(self) -> dict[Key, Observation]:
        if len(self._by_key) != len(self._entries):
            self._by_key = {}
            for observation in self.read_since(0):
                key = observation.key
                self._by_key[make_key_unique(key, self._by_key) if key in self._by_key else key] = observation
        return self._by_key

    def measure(self, reference: Observation, other: Observation) -> Difference | None:
        if not isinstance(other.content, bytes):
            return self._differences.get(other.key)
        values = load_content(reference.content, self._store)
        if values is None:
            return None
        pieces = [memoryview(other.content)]
        return measure_distance(reference, values, other, pieces, self._tolerance_for, self._for_plots)


def _map_readers_to_adapters() -> dict[FastReader, Adapter]:
    return {quick: each for each in active_adapters().values() for quick in each.fast_readers.values()}


def _decode_entry(entry: tuple[Any, ...], adapters: dict[FastReader, Adapter]) -> Observation:
    name, step, quick, (token, content) = entry
    kind, element, shape = adapters[quick].describe(token)
    return Observation((name, step, ""), kind, element, shape, content)
