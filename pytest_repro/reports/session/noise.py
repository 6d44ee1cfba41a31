"""The noise matrix: a table in the section, and a key of the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_repro.engine.sweep.noise import VARIANTS, Noise, list_headline_names
from pytest_repro.metrics._arguments import format_list, format_percent, format_seeds
from pytest_repro.reports.session.sweep import describe_constant

_MAX_HEADLINES = 3
"""Headline values with a column; the JSON report has all."""


def format_table(matrix: Mapping[str, Noise]) -> Iterator[str]:
    """A line for each variant, and one for each with runs that did not pass."""
    names = list_headline_names(matrix)
    shown, more = names[:_MAX_HEADLINES], names[_MAX_HEADLINES:]
    rows = [
        ["", "seeds", "algorithms", "distinct", "churn", *(f"std {name}" for name in shown), "L2n", "time"]
    ]
    for name, free_seeds, deterministic in VARIANTS:
        modes = ["free" if free_seeds else "fixed", "deterministic" if deterministic else "any"]
        rows.append([name, *modes, *_format_cells(matrix[name], shown)])
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
    for name, noise in matrix.items():
        if noise.failures:
            seeds = format_seeds(dict.fromkeys(seed for _, seed, _ in noise.failures))
            yield f"{name}: {len(noise.failures)} left out ({seeds}): {noise.failures[0][2]}"
    if more:
        yield f"std of {len(more)} more in the JSON report: {format_list(more)}"
    yield from format_constant_predictions(matrix)


def _format_cells(noise: Noise, names: Sequence[str]) -> list[str]:
    return [
        f"{noise.distinct_results} of {noise.runs}",
        "-" if noise.churn is None else format_percent(noise.churn),
        *(_format_optional(noise.std.get(name)) for name in names),
        _format_optional(noise.l2_normalised),
        _format_optional(noise.seconds, " s"),
    ]


def _format_optional(value: float | None, unit: str = "") -> str:
    return "-" if value is None else f"{value:.3g}{unit}"


def format_constant_predictions(matrix: Mapping[str, Noise]) -> Iterator[str]:
    """A line for each prediction that is the same for every item in some run."""
    variants: dict[str, list[str]] = {}
    for variant, noise in matrix.items():
        for name in noise.constant_predictions:
            variants.setdefault(name, []).append(variant)
    for name, found in variants.items():
        yield describe_constant(name, format_list(found))


def noise_to_row(matrix: Mapping[str, Noise]) -> dict[str, Any]:
    """``noise`` and its note for the section."""
    return {
        "noise": {name: _variant_to_row(noise) for name, noise in matrix.items()},
        "noise_note": ["", *format_table(matrix)],
    }


def _variant_to_row(noise: Noise) -> dict[str, Any]:
    row = {
        "runs": noise.runs,
        "distinct": noise.distinct_results,
        "churn": noise.churn,
        "std": dict(noise.std) or None,
        "l2_normalised": noise.l2_normalised,
        "seconds": noise.seconds,
        "failed": [dict(zip(("run", "seed", "error"), failure)) for failure in noise.failures] or None,
        "constant": list(noise.constant_predictions) or None,
    }
    return {key: value for key, value in row.items() if value is not None}
