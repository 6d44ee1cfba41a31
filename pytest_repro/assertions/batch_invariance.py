"""The same rows, whatever the batch they come in."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral
from time import perf_counter
from typing import Any

from pytest_repro.core.compare.verdict import NotReproducible, Verdict
from pytest_repro.core.plan.cell import Cell
from pytest_repro.core.plan.plan import Plan, override_plan
from pytest_repro.engine.runs.pin import Pin
from pytest_repro.engine.runs.trial import Trial, make_run

AXIS = "batch"
"""The axis of the runs: its value is the number of rows given at a time, None for all."""


def assert_batch_invariant(
    fn: Callable[[Any], Any],
    batch: Any,
    sizes: Sequence[int | None] = (1, 7, None),
    *,
    rtol: float | None = None,
    atol: float | None = None,
    seed: int = 0,
) -> Verdict:
    """Calls *fn* on the rows of *batch*, so many at a time, and compares what each row gives.

    The reference is the whole batch where None is among *sizes*, else the first of them. An
    evaluation whose rows hang on their batch gives other scores with another batch size.

    Args:
        fn: Rows ``[n, …]`` to rows ``[n, …]``, a tensor or an array, or tuples, lists and dicts of
            them; a model in evaluation mode. What it is given is a copy.
        batch: The rows, a tensor or an array ``[N, …]``.
        sizes: Numbers of rows given at a time; None gives all ``N``; the last piece may be shorter.
            At least two of them must differ on ``N`` rows.
        rtol: Relative tolerance; together with *atol*. None asks equal bits.
        atol: Absolute tolerance, in the unit of the values.
        seed: Given to every generator before each size, 0 … 2**32 - 1.

    Returns:
        The :class:`Verdict`; its runs are on the axis ``batch``.

    Raises:
        NotReproducible: Rows differ; the message says by V_c, the share of elements that differ,
            by the largest absolute distance, and names the first row.
        ValueError: An argument does not fit, or *fn* gives another number of rows than it got, or
            rows of another shape or dtype for some of the batch.
        TypeError: *fn* is no function, or gives something else than tensors or arrays.
    """
    from pytest_repro.reports.failure.batch_invariance import format_failure

    if not callable(fn):
        raise TypeError(f"fn: a function of rows, or a model, not {type(fn).__qualname__}")
    plan = override_plan(Plan(), {"seed": seed, "rtol": rtol, "atol": atol})
    rows = _count_rows(batch)
    verdict = _compare_sizes(plan, fn, batch, _normalize_sizes(sizes, rows))
    if verdict.outcome != "reproduced":
        name = getattr(fn, "__qualname__", type(fn).__qualname__)
        raise NotReproducible(format_failure(name, rows, verdict), verdict)
    return verdict


def _compare_sizes(plan: Plan, fn: Callable[[Any], Any], batch: Any, sizes: Sequence[int | None]) -> Verdict:
    trial = Trial(plan)
    try:
        with Pin(plan.seed, deterministic=True) as pin:
            for size in sizes:
                _run(trial, pin, fn, batch, size)
        return trial.compute_verdict()
    finally:
        trial.close()


def _count_rows(batch: Any) -> int:
    shape = getattr(batch, "shape", ())
    if not shape or shape[0] < 1:
        raise ValueError(f"batch: a tensor or an array with at least one row, not {_describe(batch)}")
    return int(shape[0])


def _describe(value: Any) -> str:
    """``list``; of tensors and arrays also the shape."""
    shape = f" of shape {tuple(value.shape)}" if hasattr(value, "shape") else ""
    return f"{type(value).__qualname__}{shape}"


def _normalize_sizes(sizes: Iterable[int | None], rows: int) -> list[int | None]:
    """*sizes*, the reference first."""
    given = tuple(sizes) if isinstance(sizes, Iterable) else sizes
    if not isinstance(given, tuple) or not all(map(_is_size, given)):
        raise ValueError(f"sizes={given!r}: numbers of rows, 1 or more, or None for all of them")
    found = list(dict.fromkeys(None if size is None else int(size) for size in given))
    if len({min(size or rows, rows) for size in found}) < 2:
        what = f"at least two that differ on {rows} row{'s' * (rows != 1)}, to have something to compare"
        raise ValueError(f"sizes={given!r}: {what}")
    return sorted(found, key=lambda size: size is not None)


def _is_size(size: object) -> bool:
    whole = isinstance(size, Integral) and not isinstance(size, bool)
    return size is None or (whole and int(size) >= 1)  # type: ignore[call-overload]


def _run(trial: Trial, pin: Pin, fn: Callable[[Any], Any], batch: Any, size: int | None) -> None:
    cell, start = Cell(AXIS, size), perf_counter()
    pin.seed()
    recording = trial.new_recording(cell)
    recording.record("rows", _call_in_pieces(fn, batch, size))
    trial.add(make_run(cell, "passed", perf_counter() - start, recording, None), recording)


def _call_in_pieces(fn: Callable[[Any], Any], batch: Any, size: int | None) -> Any:
    rows = _count_rows(batch)
    step = size or rows
    starts = range(0, rows, step)
    return _concatenate(
        [_check_output(fn(_copy(batch[at : at + step])), min(step, rows - at)) for at in starts]
    )


def _copy(piece: Any) -> Any:
    """A copy: *fn* may write to it, and it begins where memory is aligned, as a batch of its own does."""
    copy = getattr(piece, "clone", None) or getattr(piece, "copy", None)
    return copy() if copy is not None else piece


def _check_output(value: Any, rows: int, path: str = "") -> Any:
    """What *fn* gave as dicts and lists of tensors and arrays, if each has as many rows as were given."""
    if isinstance(value, Mapping) and value:
        return {name: _check_output(part, rows, f"{path}[{name!r}]") for name, part in value.items()}
    if isinstance(value, (tuple, list)) and value:
        return [_check_output(part, rows, f"{path}[{number}]") for number, part in enumerate(value)]
    where = f" at {path}" if path else ""
    if not isinstance(
        value, (_find_type("torch", "Tensor"), _find_type("numpy", "ndarray"), _find_type("numpy", "generic"))
    ):
        empty = "an empty " if isinstance(value, (Mapping, tuple, list)) else ""
        what = f"fn gives {empty}{type(value).__qualname__}{where}"
        raise TypeError(f"{what}: tensors or arrays can be compared by row")
    if not value.shape or value.shape[0] != rows:
        what = f"fn was given {rows} rows and gave {_describe(value)}{where}"
        raise ValueError(f"{what}: it must give a row for each")
    return value.detach() if hasattr(value, "detach") else value


def _find_type(library: str, name: str) -> Any:
    """A type of a library that is imported; no type where it is not."""
    return getattr(sys.modules.get(library), name, ())


def _describe_kind(piece: Any) -> str:
    """What must be alike in all pieces, in words."""
    if isinstance(piece, dict):
        return f"a dict of {', '.join(map(repr, piece))}"
    if isinstance(piece, list):
        return f"{len(piece)} part{'s' * (len(piece) != 1)}"
    return f"{type(piece).__qualname__} {piece.dtype} {['n', *piece.shape[1:]]}".replace("'", "")


def _concatenate(pieces: list[Any]) -> Any:
    first = pieces[0]
    for other in pieces[1:]:
        if _describe_kind(other) != _describe_kind(first):
            what = f"fn gives {_describe_kind(first)} for some rows and {_describe_kind(other)} for others"
            raise ValueError(f"{what}: no row can hang on the batch in shape or dtype")
    if isinstance(first, dict):
        return {name: _concatenate([piece[name] for piece in pieces]) for name in first}
    if isinstance(first, list):
        return [_concatenate(list(column)) for column in zip(*pieces)]
    library = sys.modules["torch" if isinstance(first, _find_type("torch", "Tensor")) else "numpy"]
    if hasattr(first, "mask"):  # numpy.concatenate forgets which elements are masked
        return library.ma.concatenate(pieces)
    return library.cat(pieces) if library.__name__ == "torch" else library.concatenate(pieces)
