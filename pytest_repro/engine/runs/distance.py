"""How far an observation is from the one it is compared with."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_repro.core.compare.compare import comparable
from pytest_repro.core.compare.difference import Difference
from pytest_repro.core.plan.tolerance import Closeness
from pytest_repro.core.runs.observation import Observation, Stored
from pytest_repro.core.runs.token_sequence import KIND
from pytest_repro.values.spill_store import Kept, Shelf


def kept(content: bytes | Stored, shelf: Shelf) -> Kept | None:
    """The bytes behind *content*, or None when they were not kept."""
    return memoryview(content) if isinstance(content, bytes) else shelf.get(content)


def alike(reference: Observation, other: Observation, mixed: bool) -> bool:
    """Whether a distance between the two can be told: one kind, or numbers of two dtypes."""
    return reference.kind == other.kind or (mixed and comparable(reference, other))


def distance(
    reference: Observation,
    values: Kept,
    other: Observation,
    pieces: Iterable[memoryview],
    close: Closeness,
    counted: bool = False,
) -> Difference:
    """How far *other* is from *reference*.

    Args:
        reference: What it is compared with.
        values: The reference's bytes.
        other: An observation that is :func:`alike`.
        pieces: Its bytes, in pieces of whole elements.
        close: The tolerance, by the dtypes of both.
        counted: Whether elements are counted by their distance in ulp, to draw them.
    """
    if reference.kind == KIND:
        from pytest_repro.engine.runs.token_divergence import parting

        return parting(reference, values, pieces)
    from pytest_repro.values.difference import difference  # numpy only where two values differ

    tolerance = close(reference.element, other.element)
    if reference.kind != other.kind:
        from pytest_repro.values.cross_dtype import difference_across

        elements = reference.element, other.element
        return difference_across(elements, reference.shape, values, pieces, tolerance)
    # Numbers that no common dtype holds (1, then 2**70) are compared as text.
    element = reference.element if reference.element == other.element else ""
    return difference(element, reference.shape, values, pieces, tolerance, counted)
