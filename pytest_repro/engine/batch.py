"""The same rows, whatever the batch they come in."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

from pytest_repro.core.cell import Cell
from pytest_repro.core.plan import Plan, asked
from pytest_repro.core.verdict import NotReproducible, Verdict
from pytest_repro.engine.pin import Pin
from pytest_repro.engine.trial import Trial, as_run

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
        fn: Rows ``[n, …]`` to rows ``[n, …]``, a tensor or an array, or a tuple or dict of them;
            a model in evaluation mode.
        batch: The rows, a tensor or an array ``[N, …]``.
        sizes: Numbers of rows given at a time; None gives all ``N``; the last piece may be shorter.
        rtol: Relative tolerance; together with *atol*. None asks equal bits.
        atol: Absolute tolerance, in the unit of the values.
        seed: Given to every generator before each size, 0 … 2**32 - 1.

    Returns:
        The :class:`Verdict`; its runs are on the axis ``batch``.

    Raises:
        NotReproducible: Rows differ; the message says by V_c, the share of elements that differ,
            by the largest absolute distance, and names the first row.
        ValueError: An argument does not fit, or *fn* gives another number of rows than it got.
        TypeError: *fn* gives something else than tensors or arrays.
    """
    from pytest_repro.reports.batch import failure

    plan = asked(Plan(), {"seed": seed, "rtol": rtol, "atol": atol})
    rows, order = _rows(batch), _ordered(sizes)
    trial = Trial(plan)
    try:
        with Pin(plan.seed, deterministic=True) as pin:
            for size in order:
                _run(trial, pin, fn, batch, size)
        verdict = trial.verdict()
    finally:
        trial.close()
    if verdict.word != "reproduced":
        name = getattr(fn, "__qualname__", type(fn).__qualname__)
        raise NotReproducible(failure(name, rows, verdict), verdict)
    return verdict


def _rows(batch: Any) -> int:
    shape = getattr(batch, "shape", ())
    if not shape or shape[0] < 1:
        raise ValueError(f"batch: a tensor or an array with at least one row, not {type(batch).__qualname__}")
    return int(shape[0])


def _ordered(sizes: Sequence[int | None]) -> list[int | None]:
    """*sizes*, the reference first."""
    for size in sizes:
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
            raise ValueError(f"sizes={sizes!r}: numbers of rows, 1 or more, or None for all of them")
    found: list[int | None] = list(dict.fromkeys(sizes))
    if len(found) < 2:
        raise ValueError(f"sizes={sizes!r}: at least two, to have something to compare")
    return sorted(found, key=lambda size: size is not None)


def _run(trial: Trial, pin: Pin, fn: Callable[[Any], Any], batch: Any, size: int | None) -> None:
    cell, start = Cell(AXIS, size), perf_counter()
    pin.seed()
    recording = trial.recording(cell)
    recording.record("rows", _in_pieces(fn, batch, size))
    trial.add(as_run(cell, "passed", perf_counter() - start, recording, None), recording)


def _in_pieces(fn: Callable[[Any], Any], batch: Any, size: int | None) -> Any:
    rows = _rows(batch)
    step = size or rows
    pieces = [(fn(batch[at : at + step]), min(step, rows - at)) for at in range(0, rows, step)]
    return _joined([_checked(piece, count) for piece, count in pieces])


def _checked(piece: Any, rows: int) -> Any:
    """*piece*, if it has as many rows as were given."""
    for part in _parts(piece):
        if not getattr(part, "shape", ()) or part.shape[0] != rows:
            got = tuple(getattr(part, "shape", ())) or type(part).__qualname__
            raise ValueError(f"fn was given {rows} rows and gave {got}: it must give a row for each")
    return piece


def _parts(piece: Any) -> list[Any]:
    if isinstance(piece, dict):
        return list(piece.values())
    return list(piece) if isinstance(piece, (tuple, list)) else [piece]


def _joined(pieces: list[Any]) -> Any:
    first = pieces[0]
    if isinstance(first, dict):
        return {name: _joined([piece[name] for piece in pieces]) for name in first}
    if isinstance(first, (tuple, list)):
        return [_joined(list(column)) for column in zip(*pieces)]
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if torch is not None and isinstance(first, torch.Tensor):
        return torch.cat([piece.detach() for piece in pieces])
    if numpy is None or not isinstance(first, numpy.ndarray):
        raise TypeError(f"fn gives {type(first).__qualname__}: tensors or arrays can be compared by row")
    return numpy.concatenate(pieces)
