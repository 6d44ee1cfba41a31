"""How far an observation is from the one it is compared with."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_repro.core.compare.compare import can_compare
from pytest_repro.core.compare.difference import Difference
from pytest_repro.core.plan.tolerance import ToleranceFunction
from pytest_repro.core.runs.observation import ContentRef, Observation
from pytest_repro.core.runs.token_sequence import TOKENS_KIND
from pytest_repro.values.spill_store import SpillStore, ValueBuffer


def load_content(content: bytes | ContentRef, store: SpillStore) -> ValueBuffer | None:
    """The bytes behind *content*, or None when they were not kept."""
    return memoryview(content) if isinstance(content, bytes) else store.get(content)


def can_measure(reference: Observation, other: Observation, mixed_dtypes: bool) -> bool:
    """Whether a distance between the two can be told: one kind, or numbers of two dtypes."""
    return reference.kind == other.kind or (mixed_dtypes and can_compare(reference, other))


def measure_distance(
    reference: Observation,
    values: ValueBuffer,
    other: Observation,
    pieces: Iterable[memoryview],
    tolerance_for: ToleranceFunction,
    count_ulps: bool = False,
) -> Difference:
    """How far *other* is from *reference*.

    Args:
        reference: What it is compared with.
        values: The reference's bytes.
        other: An observation that is :func:`can_measure`.
        pieces: Its bytes, in pieces of whole elements.
        tolerance_for: The tolerance, by the dtypes of both.
        count_ulps: Whether elements are counted by their distance in ulp, to draw them.
    """
    if reference.kind == TOKENS_KIND:
        from pytest_repro.engine.runs.token_divergence import diff_tokens

        return diff_tokens(reference, values, pieces)
    from pytest_repro.values.difference import measure_difference  # numpy only where two values differ

    tolerance = tolerance_for(reference.dtype, other.dtype)
    if reference.kind != other.kind:
        from pytest_repro.values.cross_dtype import measure_cross_dtype_difference

        elements = reference.dtype, other.dtype
        return measure_cross_dtype_difference(elements, reference.shape, values, pieces, tolerance)
    # Numbers that no common dtype holds (1, then 2**70) are compared as text.
    element = reference.dtype if reference.dtype == other.dtype else ""
    return measure_difference(element, reference.shape, values, pieces, tolerance, count_ulps)
