"""What one run records, in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any

from pytest_repro.adapters import Adapter, Quick, awake, known, opened
from pytest_repro.core.difference import Difference
from pytest_repro.core.observation import Key, Leaf, Observation, Stored
from pytest_repro.core.tolerance import Tolerance
from pytest_repro.core.walk import LocalsBudget, leaves, numeric_leaves
from pytest_repro.values.shelf import Kept, Shelf
from pytest_repro.values.tree import digest

INLINE = 512
"""Bytes up to which an observation holds its value itself: hashing would cost as much."""


def _slow(value: object) -> None:
    """Stands for the quick reader of a type that has none."""


class Recording:
    """What one run records; digests and compares large values as they come.

    The reference run puts its large values on the shelf. Another run compares each of its own
    with the reference at once, while the value is there to be read, and keeps the digest alone.

    Args:
        shelf: Where the reference run's values are kept.
        tolerance: Closeness asked, for the distances measured on the way.
        reference: The reference run's recording; None when this is the reference run.
    """

    __slots__ = (
        "_entries", "_measured", "_quick", "_reference", "_shelf", "_steps", "_tolerance", "left_out",
    )  # fmt: skip

    def __init__(self, shelf: Shelf, tolerance: Tolerance, reference: Recording | None = None) -> None:
        # An entry is an Observation, or (name, step, quick reader, what that read).
        self._entries: list[Any] = []
        self._steps: defaultdict[str, count[int]] = defaultdict(count)
        self._quick: dict[type, Quick] = {}
        self._shelf, self._tolerance = shelf, tolerance
        self._reference = reference.observations() if reference is not None else None
        self._measured: dict[Key, Difference] = {}
        self.left_out = 0

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
        content = self._content(key, leaf)
        return Observation(key, leaf.kind, leaf.element, leaf.shape, content, leaf.facts)

    def _content(self, key: Key, leaf: Leaf) -> bytes | Stored:
        if leaf.nbytes <= INLINE:
            return b"".join(bytes(piece) for piece in leaf.pieces())
        if self._reference is None:
            return self._shelf.put(leaf)
        found = Stored(digest(leaf.kind, leaf.pieces()))
        self._measure(key, leaf, found)
        return found

    def _measure(self, key: Key, leaf: Leaf, found: Stored) -> None:
        assert self._reference is not None
        there = self._reference.get(key)
        if there is None or there.kind != leaf.kind or there.content == found:
            return
        kept = self._shelf.get(there.content) if isinstance(there.content, Stored) else None
        if kept is not None:
            pieces = leaf.pieces()
            self._measured[key] = _difference(leaf.element, leaf.shape, kept, pieces, self._tolerance)

    def __len__(self) -> int:
        return len(self._entries)

    def same_as(self, other: Recording) -> bool:
        """Whether both recorded the same, in the same order, to the bit."""
        return bool(self._entries == other._entries)

    def observations(self) -> dict[Key, Observation]:
        """Everything recorded so far, by key, in order."""
        by_reader = {quick: each for each in awake().values() for quick in each.quick.values()}
        found = (e if isinstance(e, Observation) else _described(e, by_reader) for e in self._entries)
        by_key: dict[Key, Observation] = {}
        for each in found:
            by_key[_free(each.key, by_key)] = each
        return by_key

    def measure(self, reference: Observation, other: Observation) -> Difference | None:
        """How far *other*, observed here, is from *reference*; None when that was not kept."""
        if isinstance(reference.content, bytes) and isinstance(other.content, bytes):
            pieces = [memoryview(other.content)]
            # Numbers that no common dtype holds (1, then 2**70) are compared as text.
            element = reference.element if reference.element == other.element else ""
            kept = memoryview(reference.content)
            return _difference(element, reference.shape, kept, pieces, self._tolerance)
        return self._measured.get(other.key)


def _free(key: Key, taken: dict[Key, Observation]) -> Key:
    """*key*, or where two parts have one path (two keys of a dict print alike) one of their own."""
    if key not in taken:
        return key
    name, step, path = key
    return next(k for n in count(2) if (k := (name, step, f"{path}#{n}")) not in taken)


def _difference(
    element: str, shape: tuple[int, ...], kept: Kept, pieces: Any, tolerance: Tolerance
) -> Difference:
    from pytest_repro.values.measure import difference  # numpy only where two values differ

    return difference(element, shape, kept, pieces, tolerance)


def _described(entry: tuple[Any, ...], adapters: dict[Quick, Adapter]) -> Observation:
    name, step, quick, (token, content) = entry
    kind, element, shape = adapters[quick].described(token)
    return Observation((name, step, ""), kind, element, shape, content)
