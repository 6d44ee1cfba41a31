"""Checks that the result for a row does not depend on its batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from numbers import Integral
from time import perf_counter
from typing import Any

from pytest_repro.adapters import find_array_adapter
from pytest_repro.core.compare.verdict import NotReproducible, Verdict
from pytest_repro.core.plan.arguments import override_plan
from pytest_repro.core.plan.plan import Cell, Plan
from pytest_repro.engine.runs.current_run import choose_seed, note_assertion
from pytest_repro.engine.runs.pin import Pin
from pytest_repro.engine.runs.run_source import make_run
from pytest_repro.engine.runs.trial import Trial
from pytest_repro.reports.failure.assertions import format_batch_failure


def assert_batch_invariant(
    fn: Callable[[Any], Any],
    batch: Any,
    sizes: Sequence[int | None] = (1, 7, None),
    *,
    rtol: float | None = None,
    atol: float | None = None,
    seed: int | None = None,
) -> Verdict:
    """Fails if *fn* gives a row other values when the row comes in a batch of another size.

    The reference is the whole batch if None is in *sizes*, else the first size. An evaluation that
    depends on the batch gives other scores with another batch size.

    Args:
        fn: A function from rows ``[n, …]`` to rows ``[n, …]``, a tensor or array, or tuples, lists and
            dicts of them; a model in evaluation mode. It gets copies.
        batch: The rows, a tensor or array ``[N, …]``.
        sizes: Batch sizes; None is ``N``; the last batch may be smaller. At least two must differ on
            ``N`` rows.
        rtol: Relative tolerance; together with *atol*. By default bits must be equal.
        atol: Absolute tolerance, in the unit of the values.
        seed: Seed of every generator before each size; by default that of the test, else 0.

    Returns:
        The :class:`Verdict`; its runs are on the axis ``batch``.

    Raises:
        NotReproducible: Rows differ. The message gives V_c, the share of elements that differ, the
            largest absolute distance, and the first row.
        ValueError: An argument does not fit, or *fn* returns another number of rows than it got, or
            rows of another shape or dtype for some batches.
        TypeError: *fn* is not a function, or returns something else than tensors or arrays.
    """
    __tracebackhide__ = True
    if not callable(fn):
        raise TypeError(f"fn: expected a function of rows, or a model, not {type(fn).__qualname__}")
    plan = override_plan(Plan(), {"seed": choose_seed(seed), "rtol": rtol, "atol": atol})
    rows = _count_rows(batch)
    verdict = _compare_sizes(plan, fn, batch, _normalize_sizes(sizes, rows))
    if verdict.outcome != "reproduced":
        name = getattr(fn, "__qualname__", type(fn).__qualname__)
        raise NotReproducible(format_batch_failure(name, rows, verdict), verdict)
    note_assertion("batch_invariant")
    return verdict


def _compare_sizes(plan: Plan, fn: Callable[[Any], Any], batch: Any, sizes: Sequence[int | None]) -> Verdict:
    with closing(Trial(plan)) as trial:
        with Pin(plan.seed, deterministic=True) as pin:
            for size in sizes:
                cell, start = Cell("batch", size), perf_counter()
                pin.seed()
                recording = trial.new_recording(cell)
                step = size or len(batch)
                pieces = (batch[at : at + step] for at in range(0, len(batch), step))
                outputs = [_check_output(fn(_copy(piece)), len(piece)) for piece in pieces]
                recording.record("rows", _concatenate(outputs))
                trial.add(make_run(cell, "passed", perf_counter() - start, recording, None), recording)
        return trial.compute_verdict()


def _count_rows(batch: Any) -> int:
    shape = getattr(batch, "shape", ())
    if not shape or shape[0] < 1:
        raise ValueError(f"batch: expected a tensor or array with at least one row, not {_describe(batch)}")
    return int(shape[0])


def _describe(value: Any) -> str:
    shape = f" of shape {tuple(value.shape)}" if hasattr(value, "shape") else ""
    return f"{type(value).__qualname__}{shape}"


def _normalize_sizes(sizes: Iterable[int | None], rows: int) -> list[int | None]:
    """*sizes*, the reference first."""
    values = tuple(sizes) if isinstance(sizes, Iterable) else sizes
    if not isinstance(values, tuple) or not all(map(_is_size, values)):
        raise ValueError(f"sizes={values!r}: expected numbers of rows, 1 or more, or None for all rows")
    distinct = list(dict.fromkeys(None if size is None else int(size) for size in values))
    if len({min(size or rows, rows) for size in distinct}) < 2:
        count = f"{rows} row{'s' * (rows != 1)}"
        raise ValueError(f"sizes={values!r}: expected at least two that differ on {count}")
    return sorted(distinct, key=lambda size: size is not None)


def _is_size(size: object) -> bool:
    whole = isinstance(size, Integral) and not isinstance(size, bool)
    return size is None or (whole and int(size) >= 1)  # type: ignore[call-overload]


def _copy(piece: Any) -> Any:
    """A copy: *fn* may write to it, and it starts at an aligned address, as a batch of its own does."""
    copy: Any = getattr(piece, "clone", None) or getattr(piece, "copy", lambda: piece)
    return copy()


def _check_output(value: Any, rows: int, path: str = "") -> Any:
    """The output of *fn* as dicts and lists of tensors and arrays, each with *rows* rows."""
    if isinstance(value, Mapping) and value:
        return {name: _check_output(part, rows, f"{path}[{name!r}]") for name, part in value.items()}
    if isinstance(value, (tuple, list)) and value:
        return [_check_output(part, rows, f"{path}[{number}]") for number, part in enumerate(value)]
    where = f" at {path}" if path else ""
    if find_array_adapter(value) is None and getattr(value, "shape", None) != ():  # numpy scalars: no rows
        empty = "an empty " if isinstance(value, (Mapping, tuple, list)) else ""
        kind = type(value).__qualname__
        raise TypeError(f"fn returns {empty}{kind}{where}: expected tensors or arrays")
    if not value.shape or value.shape[0] != rows:
        output = f"{_describe(value)}{where}"
        raise ValueError(f"fn got {rows} rows and returned {output}: expected one row for each")
    return value.detach() if hasattr(value, "detach") else value


def _describe_kind(piece: Any) -> str:
    if isinstance(piece, dict):
        return f"a dict of {', '.join(map(repr, piece))}"
    if isinstance(piece, list):
        return f"{len(piece)} part{'s' * (len(piece) != 1)}"
    return f"{type(piece).__qualname__} {piece.dtype} {['n', *piece.shape[1:]]}".replace("'", "")


def _concatenate(pieces: list[Any]) -> Any:
    first = pieces[0]
    for other in pieces[1:]:
        if _describe_kind(other) != _describe_kind(first):
            kinds = f"{_describe_kind(first)} for some rows and {_describe_kind(other)} for others"
            raise ValueError(f"fn returns {kinds}: shape and dtype must not depend on the batch")
    if isinstance(first, dict):
        return {name: _concatenate([piece[name] for piece in pieces]) for name in first}
    if isinstance(first, list):
        return [_concatenate(list(column)) for column in zip(*pieces)]
    adapter = find_array_adapter(first)
    assert adapter is not None
    return adapter.concatenate(pieces)
