"""What one run records, in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any, ClassVar

from pytest_repro.adapters import Adapter, Quick, awake, known, opened
from pytest_repro.core.compare.difference import Difference
from pytest_repro.core.plan.tolerance import Closeness
from pytest_repro.core.runs.observation import Key, Leaf, Observation, Stored
from pytest_repro.core.runs.pytree import LocalsBudget, leaves, numeric_leaves
from pytest_repro.engine.runs.distance import alike, distance, kept
from pytest_repro.values.hashing import digest
from pytest_repro.values.spill_store import Shelf

INLINE = 512
"""Bytes up to which an observation holds its value itself: hashing would cost as much."""


def _slow(value: object) -> None:
    """Stands for the quick reader of a type that has none."""


class Recorded:
    """What one run recorded, here or elsewhere."""

    __slots__: ClassVar[tuple[str, ...]] = ("left_out",)

    left_out: int

    def __len__(self) -> int:
        """Number of values recorded."""
        raise NotImplementedError

    def observations(self) -> dict[Key, Observation]:
        """Everything recorded so far, by key, in order."""
        raise NotImplementedError

    def measure(self, reference: Observation, other: Observation) -> Difference | None:
        """How far *other*, observed here, is from *reference*; None when that was not kept."""
        raise NotImplementedError

    def same_as(self, other: Recorded) -> bool:
        """Whether both recorded the same, in the same order, to the bit."""
        return list(self.observations().items()) == list(other.observations().items())


class Recording(Recorded):
    """What one run records; digests and compares large values as they come.

    The reference run puts its large values on the shelf. Another run compares each of its own
    with the reference at once, while the value is there to be read, and keeps the digest alone.

    Args:
        shelf: Where the reference run's values are kept.
        close: Closeness asked, for the distances measured on the way.
        reference: The recording it is compared with; None when this is the reference run.
        keep: Whether a run that has a reference keeps its values as well.
        mixed: Whether numbers of two dtypes are compared.
        counted: Whether elements that differ are counted by their distance, to draw them.
    """

    __slots__ = (
        "_close", "_counted", "_entries", "_held", "_keep", "_measured", "_mixed", "_quick", "_reference",
        "_shelf", "_steps",
    )  # fmt: skip

    def __init__(
        self,
        shelf: Shelf,
        close: Closeness,
        reference: Recorded | None = None,
        keep: bool = False,
        mixed: bool = False,
        counted: bool = False,
    ) -> None:
        # An entry is an Observation, or (name, step, quick reader, what that read).
        self._entries: list[Any] = []
        self._steps: defaultdict[str, count[int]] = defaultdict(count)
        self._quick: dict[type, Quick] = {}
        self._shelf, self._close, self._counted = shelf, close, counted
        self._keep, self._mixed = keep or reference is None, mixed
        self._reference = reference.observations() if reference is not None else None
        self._measured: dict[Key, Difference] = {}
        self._held = ""
        self.left_out = 0

    def hold(self, name: str) -> None:
        """Takes note that an assertion held, to be recorded as *name* where nothing else is."""
        self._held = name

    def settle(self) -> None:
        """Records what held, if there is nothing else: a test of it alone can fail, and is compared."""
        if self._held and not self._entries:
            self.record(self._held, True)

    def record(self, name: str, value: object) -> None:
        """Records *value*, as it is now, as the next step of *name*.

        Raises:
            TypeError: Something in it cannot be read; the message names its path and type.
        """
        quick = self._quick.get(type(value)) or self._find_quick(type(value))
        # Counted in one step, so that threads that record do not take each other's place.
        step = next(self._steps[name])
        read = quick(value)
        if read is not None:
            self._entries.append((name, step, quick, read))
        else:
            self._entries += list(self._opened(name, step, value))

    def record_locals(self, variables: Iterable[tuple[str, object]]) -> None:
        """Records the arrays among local variables, as ``locals.NAME``; passes over all else."""
        budget = LocalsBudget()
        for name, value in variables:
            for path, leaf in numeric_leaves(value, name, known, budget):
                try:
                    self._entries.append(self._observation(("locals", 0, f".{name}{path}"), leaf))
                except Exception:  # a tensor that cannot be read must not fail the test that holds it
                    budget.left_out += 1
        self.left_out = budget.left_out

    def _find_quick(self, kind: type) -> Quick:
        found = (each.quick[kind] for each in awake().values() if kind in each.quick)
        quick = self._quick[kind] = next(found, _slow)
        return quick

    def _opened(self, name: str, step: int, value: object) -> Iterator[Observation]:
        for path, leaf in leaves(value, name, opened):
            yield self._observation((name, step, path), leaf)

    def _observation(self, key: Key, leaf: Leaf) -> Observation:
        beside = leaf.beside
        if beside is not None:
            from pytest_repro.engine.runs.token_divergence import shelved

            beside = shelved(beside, self._shelf if self._reference is None else None)
        found = Observation(key, leaf.kind, leaf.element, leaf.shape, self._content(leaf), leaf.facts, beside)
        if self._reference is not None and isinstance(found.content, Stored):
            self._measure(self._reference.get(key), found, leaf)
        return found

    def _content(self, leaf: Leaf) -> bytes | Stored:
        if leaf.nbytes <= INLINE or leaf.beside is not None:
            return b"".join(bytes(piece) for piece in leaf.pieces())
        return self._shelf.put(leaf) if self._keep else Stored(digest(leaf.kind, leaf.pieces()))

    def _measure(self, there: Observation | None, found: Observation, leaf: Leaf) -> None:
        """Measures a large value at once: later it may be gone, or have been written to."""
        if there is None or not alike(there, found, self._mixed):
            return
        values = kept(there.content, self._shelf)
        if values is not None and (there.kind, there.content) != (found.kind, found.content):
            pieces = leaf.pieces()
            self._measured[found.key] = distance(there, values, found, pieces, self._close, self._counted)

    def __len__(self) -> int:
        return len(self._entries)

    def since(self, count: int) -> list[Observation]:
        """What was recorded after the first *count* values."""
        by_reader = _by_reader()
        return [e if isinstance(e, Observation) else _described(e, by_reader) for e in self._entries[count:]]

    def same_as(self, other: Recorded) -> bool:
        if isinstance(other, Recording) and self._entries == other._entries:
            return True
        # What is read quickly on one device is not on another: the entries are unlike, not the values.
        return super().same_as(other)

    def observations(self) -> dict[Key, Observation]:
        by_key: dict[Key, Observation] = {}
        for each in self.since(0):
            by_key[_free(each.key, by_key)] = each
        return by_key

    def measure(self, reference: Observation, other: Observation) -> Difference | None:
        if not isinstance(other.content, bytes):
            return self._measured.get(other.key)
        values = kept(reference.content, self._shelf)
        if values is None:
            return None
        pieces = [memoryview(other.content)]
        return distance(reference, values, other, pieces, self._close, self._counted)


def _by_reader() -> dict[Quick, Adapter]:
    return {quick: each for each in awake().values() for quick in each.quick.values()}


def _free(key: Key, taken: dict[Key, Observation]) -> Key:
    """*key*, or where two parts have one path (two keys of a dict print alike) one of their own."""
    if key not in taken:
        return key
    name, step, path = key
    return next(k for n in count(2) if (k := (name, step, f"{path}#{n}")) not in taken)


def _described(entry: tuple[Any, ...], adapters: dict[Quick, Adapter]) -> Observation:
    name, step, quick, (token, content) = entry
    kind, element, shape = adapters[quick].described(token)
    return Observation((name, step, ""), kind, element, shape, content)
