"""What is said of the noise matrix: a table in the session's section, and a key of the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_repro.engine.sweep.noise import VARIANTS, Noise, list_headline_names
from pytest_repro.metrics._arguments import format_list, format_percent, format_seeds
from pytest_repro.reports.session.sweep import describe_constant

_MAX_HEADLINES = 3
"""Headline values that have a column; the report has all."""


def format_table(matrix: Mapping[str, Noise]) -> Iterator[str]:
    """A head, a line for each variant, and a line for each that has runs which did not pass."""
    names = list_headline_names(matrix)[:_MAX_HEADLINES]
    rows = [
        ["", "seeds", "algorithms", "distinct", "churn", *(f"std {name}" for name in names), "L2n", "time"]
    ]
    for variant in VARIANTS:
        row = [
            variant.name,
            "free" if variant.free_seeds else "fixed",
            "deterministic" if variant.deterministic else "any",
        ]
        rows.append(row + _format_cells(matrix[variant.name], names))
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
    for name, each in matrix.items():
        if each.failures:
            which = format_seeds(dict.fromkeys(seed for _, seed, _ in each.failures))
            yield f"{name}: {len(each.failures)} left out ({which}): {each.failures[0][2]}"
    if more := list_headline_names(matrix)[_MAX_HEADLINES:]:
        yield f"std of {len(more)} more in the JSON report: {format_list(more)}"
    yield from format_constant_predictions(matrix)


def _format_cells(noise: Noise, names: Sequence[str]) -> list[str]:
    return [
        f"{noise.distinct_results} of {noise.runs}",
        _format_optional(noise.churn, format_percent),
        *(_format_optional(noise.std.get(name), "{:.3g}".format) for name in names),
        _format_optional(noise.l2_normalised, "{:.3g}".format),
        _format_optional(noise.seconds, "{:.3g} s".format),
    ]


def _format_optional(value: float | None, format_value: Any) -> str:
    return "-" if value is None else str(format_value(value))


def format_constant_predictions(matrix: Mapping[str, Noise]) -> Iterator[str]:
    """A text for each prediction that is the same for every item, in any run."""
    where: dict[str, list[str]] = {}
    for variant, each in matrix.items():
        for name in each.constant_predictions:
            where.setdefault(name, []).append(variant)
    for name, variants in where.items():
        yield describe_constant(name, f"{format_list(variants)}")


def noise_to_row(matrix: Mapping[str, Noise]) -> dict[str, Any]:
    """What the row of a test says: ``noise``, and its lines for the terminal."""
    return {
        "noise": {name: _variant_to_row(each) for name, each in matrix.items()},
        "noise_note": list(format_table(matrix)),
    }


def _variant_to_row(noise: Noise) -> dict[str, Any]:
    row = {
        "runs": noise.runs,
        "distinct": noise.distinct_results,
        "churn": noise.churn,
        "std": dict(noise.std) or None,
        "l2_normalised": noise.l2_normalised,
        "seconds": noise.seconds,
        "failed": [dict(zip(("run", "seed", "error"), each)) for each in noise.failures] or None,
        "constant": list(noise.constant_predictions) or None,
    }
    return {key: value for key, value in row.items() if value is not None}


def format_noise_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The table of each test that has one, for the session's section."""
    for row in rows:
        if lines := row.get("noise_note"):
            yield f"noise     {row['nodeid']}"
            yield from (f"          {line}" for line in lines)
