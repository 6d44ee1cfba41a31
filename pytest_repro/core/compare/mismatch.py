"""Compares runs: every difference is collected as a mismatch, none is raised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from pytest_repro.core.runs.observation import ELEMENT_DTYPES, Key, Observation, format_key
from pytest_repro.core.runs.run import Run

ELEMENTS_KEPT = 3
"""Differing elements of an array whose values are kept."""

Token = int | str | None
"""None: the sequence has ended."""


@dataclass(frozen=True, slots=True)
class TokenDivergence:
    """The first token in which two sequences differ.

    The gaps are of the reference run, in the unit of the logits, and None without logits or at the end of a
    sequence. *top_gap* differs from *gap* if the tokens were sampled, and are not the two largest.
    """

    candidates: tuple[Token, Token]  # of the reference run and of the other
    gap: float | None = None  # between the logits of the two candidates
    top_gap: float | None = None  # between the two largest logits
    sampling: Mapping[str, object] = field(default_factory=dict)  # settings of the reference run


@dataclass(frozen=True, slots=True)
class Difference:
    """How far two arrays of one shape are apart; distances in the unit of the values.

    Attributes:
        differing: Number of elements whose bits differ.
        total: Number of elements.
        outside_tolerance: Number of elements further apart than the tolerance; *differing* if that is zero.
        max_abs: Largest ``|other - reference|`` over the finite pairs; None if there are none.
        max_rel: Largest ``|other - reference| / |reference|`` where the reference is not 0.
        max_ulp: Largest distance in representable numbers of the dtype (units in the last place); None for
            integers, for text and across dtypes.
        first_index: Index of the first differing element in C order.
        first_values: Reference and other value at *first_index*, as text.
        non_finite: Number of differing elements with a NaN or an infinity on either side.
        ulp_counts: Number of the other differing elements by the bits of their distance in ulp: 0, 1, 2 to 3,
            4 to 7, …; a complex element counts by the larger of its parts. Empty if not requested.
        places: Number of differing elements in each cell of a :class:`.Heatmap`, row by row.
        token_divergence: For token sequences: their tokens at *first_index*.
        first_elements: The first differing elements: index in C order, reference and other value as text.
    """

    differing: int
    total: int
    outside_tolerance: int
    max_abs: float | None = None
    max_rel: float | None = None
    max_ulp: int | None = None
    first_index: tuple[int, ...] | None = None
    first_values: tuple[str, str] | None = None
    non_finite: int = 0
    ulp_counts: tuple[int, ...] = ()
    places: tuple[tuple[int, ...], ...] = ()
    token_divergence: TokenDivergence | None = None
    first_elements: tuple[tuple[int, str, str], ...] = ()

    @property
    def share(self) -> float:
        """Share of differing elements, 0 to 1."""
        return self.differing / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One value, or one outcome, that differs between the reference run and another.

    Attributes:
        name: Displayed name: ``loss[3]``; ``outcome`` for an outcome.
        series: Recorded name, without step and path.
        step: Place in the series, from 0.
        path: Path inside the recorded value: ``.head[2].weight``.
        axis: What was varied.
        value: Value of the other run on that axis.
        problem: ``values`` differ, ``kind`` (dtype or shape) differs, the value is ``missing`` in one run, or
            the ``outcome`` differs.
        kind: dtype and shape in the reference run, or in the other run if only that one has the value.
        other_kind: dtype and shape in the other run; ``""`` if the value is missing there.
        difference: How far apart the values are; None if unknown.
        detail: What numbers cannot show: which run lacks the value, both outcomes, why no distance is known.
        repeat_of: Axis and value of two runs that differ although nothing is varied between them; None if one
            of the runs is the reference.
    """

    name: str
    series: str
    step: int
    path: str
    axis: str
    value: object
    problem: Literal["values", "kind", "missing", "outcome"]
    kind: str = ""
    other_kind: str = ""
    difference: Difference | None = None
    detail: str = ""
    repeat_of: tuple[str, object] | None = None


Measure = Callable[[Observation, Observation], Difference | None]
"""Measures how far two observations of one kind are apart; None if their values are not stored."""


@dataclass(frozen=True, slots=True)
class ObservedRun:
    """A run with its observations by key, in the order of recording."""

    run: Run
    observations: Mapping[Key, Observation]


def count_steps(keys: Iterable[Key]) -> dict[str, int]:
    """Number of steps by recorded name; more than one make a series."""
    counts: Counter[str] = Counter()
    for name, step, _ in keys:
        counts[name] = max(counts[name], step + 1)
    return dict(counts)


def find_mismatches(
    reference: ObservedRun, other: ObservedRun, measure: Measure, mixed_dtypes: bool = False
) -> Iterator[Mismatch]:
    """Every observation that differs between two runs, in the order of recording.

    Args:
        reference: The run that *other* is compared with.
        other: The other run.
        measure: Called for observations whose bits differ. They match if no element is outside the tolerance.
        mixed_dtypes: Whether numbers of different dtypes are compared; otherwise the dtype is a mismatch.
    """
    left, right, run = reference.observations, other.observations, other.run
    both = {**left, **right}
    lengths = count_steps(both)

    def start(key: Key) -> Callable[..., Mismatch]:
        name = format_key(key, lengths[key[0]] > 1)
        return partial(Mismatch, name, *key, run.axis, run.value, repeat_of=run.repeat_of)

    other_kinds = _find_other_kinds(left, right)
    yield from (start(key)("kind", *kinds) for key, kinds in other_kinds.items())
    for key, present in both.items():
        a, b = left.get(key), right.get(key)
        if key in other_kinds or (a and b and a.kind == b.kind and a.content == b.content):
            continue
        mismatch = start(key)
        if a is None or b is None:
            detail = "recorded in the other run only" if a is None else "not recorded in the other run"
            yield mismatch("missing", present.kind, b.kind if b else "", detail=detail)
        elif a.kind != b.kind and not (mixed_dtypes and can_compare(a, b)):
            yield mismatch("kind", a.kind, b.kind)
        elif (difference := measure(a, b)) is None:
            detail = "the values were not kept: only the digests are known"
            yield mismatch("values", a.kind, b.kind, detail=detail)
        elif difference.outside_tolerance:
            yield mismatch("values", a.kind, b.kind, difference)


def _find_other_kinds(
    left: Mapping[Key, Observation], right: Mapping[Key, Observation]
) -> dict[Key, tuple[str, str]]:
    """The kinds of each value with parts that is of another kind in the other run."""
    a, b = _list_containers(left), _list_containers(right)
    chains = {key: [_list_kinds(*each, key) for each in ((left, a), (right, b))] for key in a | b}
    found = {key: compare_kinds(*each) for key, each in chains.items()}
    return {key: kinds for key, kinds in found.items() if kinds is not None}


def _list_containers(observations: Mapping[Key, Observation]) -> dict[Key, list[str]]:
    """The kinds of the values with parts at each path, the outermost first."""
    kinds: dict[Key, list[str]] = {}
    for (name, step, _), each in observations.items():
        for at, kind in each.containers:
            kinds.setdefault((name, step, at), []).append(kind)
    return kinds


def _list_kinds(
    observations: Mapping[Key, Observation], containers: Mapping[Key, list[str]], key: Key
) -> list[str]:
    leaf = [observations[key].kind] if key in observations else []
    return [*containers.get(key, ()), *leaf]


def compare_kinds(a: Sequence[str], b: Sequence[str]) -> tuple[str, str] | None:
    """The first kinds in which *a* and *b* differ: of all that is at one path, the outermost first.

    The values of a column have its path, and those of a masked array that of the array:
    ``["Series[2 rows]", "Int64", "Int64[2]"]``. A dtype is shown with the shape.
    """
    pair = next((pair for pair in zip(a, b) if pair[0] != pair[1]), None)
    if pair is None:
        return None
    leaves = a[-1], b[-1]
    is_dtype = all(kind == leaf or leaf.startswith(f"{kind}[") for kind, leaf in zip(pair, leaves))
    return leaves if is_dtype and leaves[0] != leaves[1] else pair


def can_compare(a: Observation, b: Observation) -> bool:
    """Whether two values of different dtypes are arrays of numbers of one shape."""
    dtypes = a.dtype, b.dtype
    text = any(each in ("", *ELEMENT_DTYPES) or each.startswith("raw") for each in dtypes)
    return a.shape == b.shape and not text


def find_outcome_mismatches(runs: Sequence[Run]) -> Iterator[Mismatch]:
    """A mismatch for each run whose outcome differs from that of the first."""
    first = runs[0]
    for run in runs[1:]:
        if run.state == "ran" and (run.outcome, run.error_type) != (first.outcome, first.error_type):
            detail = f"{describe_outcome(first)}, then {describe_outcome(run)}"
            start = ("outcome", "outcome", 0, "", run.axis, run.value)
            yield Mismatch(*start, "outcome", detail=detail, repeat_of=run.repeat_of)


def describe_outcome(run: Run) -> str:
    """A run's outcome in words: ``passed``, ``failed (ValueError: boom)``."""
    return f"{run.outcome} ({run.error})" if run.error else run.outcome
