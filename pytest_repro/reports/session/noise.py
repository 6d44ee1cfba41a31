"""What is said of the noise matrix: a table in the session's section, and a key of the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_repro.engine.sweep.noise import VARIANTS, Noise, headlines
from pytest_repro.metrics._arguments import listed, percent, seeds
from pytest_repro.reports.session.sweep import is_constant

_MOST = 3
"""Headline values that have a column; the report has all."""


def table(found: Mapping[str, Noise]) -> Iterator[str]:
    """A head, a line for each variant, and a line for each that has runs which did not pass."""
    names = headlines(found)[:_MOST]
    rows = [
        ["", "seeds", "algorithms", "distinct", "churn", *(f"std {name}" for name in names), "L2n", "time"]
    ]
    for variant in VARIANTS:
        row = [variant.name, "free" if variant.free else "fixed", "deterministic" if variant.on else "any"]
        rows.append(row + _cells(found[variant.name], names))
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
    for name, each in found.items():
        if each.failed:
            which = seeds(dict.fromkeys(seed for _, seed, _ in each.failed))
            yield f"{name}: {len(each.failed)} left out ({which}): {each.failed[0][2]}"
    if more := headlines(found)[_MOST:]:
        yield f"std of {len(more)} more in the JSON report: {listed(more)}"
    yield from constant(found)


def _cells(found: Noise, names: Sequence[str]) -> list[str]:
    return [
        f"{found.distinct} of {found.runs}",
        _told(found.churn, percent),
        *(_told(found.std.get(name), "{:.3g}".format) for name in names),
        _told(found.l2_normalised, "{:.3g}".format),
        _told(found.seconds, "{:.3g} s".format),
    ]


def _told(value: float | None, told: Any) -> str:
    return "-" if value is None else str(told(value))


def constant(found: Mapping[str, Noise]) -> Iterator[str]:
    """A text for each prediction that is the same for every item, in any run."""
    where: dict[str, list[str]] = {}
    for variant, each in found.items():
        for name in each.constant:
            where.setdefault(name, []).append(variant)
    for name, variants in where.items():
        yield is_constant(name, f"{listed(variants)}")


def row_of(found: Mapping[str, Noise]) -> dict[str, Any]:
    """What the row of a test says: ``noise``, and its lines for the terminal."""
    return {"noise": {name: _row(each) for name, each in found.items()}, "noise_note": list(table(found))}


def _row(found: Noise) -> dict[str, Any]:
    row = {
        "runs": found.runs, "distinct": found.distinct, "churn": found.churn, "std": dict(found.std) or None,
        "l2_normalised": found.l2_normalised, "seconds": found.seconds,
        "failed": [dict(zip(("run", "seed", "error"), each)) for each in found.failed] or None,
        "constant": list(found.constant) or None,
    }  # fmt: skip
    return {key: value for key, value in row.items() if value is not None}


def noisy(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The table of each test that has one, for the session's section."""
    for row in rows:
        if lines := row.get("noise_note"):
            yield f"noise     {row['nodeid']}"
            yield from (f"          {line}" for line in lines)
