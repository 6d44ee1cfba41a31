"""What further runs of a test have shown, for the page: seeds, the noise matrix, what determinism costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from pytest_repro.metrics._arguments import format_list, format_percent, format_seeds
from pytest_repro.reports.html.plots.figures import Figure
from pytest_repro.reports.html.plots.strip import describe_strip, draw_strip
from pytest_repro.reports.html.plots.ticks import format_number

_MAX_STRIPS, _MAX_ROWS = 6, 40
"""Headline values of a test that are drawn; rows of a table."""


class Table(NamedTuple):
    """Numbers of a test.

    Attributes:
        title: What they are.
        head: A column's head each.
        rows: The first cell of each names it.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class ExtraRunsSection(NamedTuple):
    """What is told of a test.

    Attributes:
        sentences: In sentences.
        figures: A strip for each headline value.
        tables: Its numbers.
        broken: Whether it does not hold for every seed.
    """

    sentences: tuple[str, ...]
    figures: tuple[Figure, ...]
    tables: tuple[Table, ...]
    broken: bool


def make_extra_runs_section(ident: str, row: Mapping[str, Any]) -> ExtraRunsSection | None:
    """What further runs of a test have shown; None where there were none.

    Args:
        ident: Of its own on the page.
        row: Of the JSON report.
    """
    sweep, noise = row.get("sweep"), row.get("noise")
    tables = [*(_make_sweep_tables(sweep) if sweep else ()), *((_make_noise_table(noise),) if noise else ())]
    said = [*((describe_sweep(sweep),) if sweep else ()), *_format_cost(row.get("cost"))]
    if not tables and not said:
        return None
    figures = _make_strip_figures(ident, sweep) if sweep else ()
    broken = sweep is not None and not sweep["kept"]
    return ExtraRunsSection(tuple(said), tuple(figures), tuple(tables), broken)


def describe_sweep(sweep: Mapping[str, Any]) -> str:
    """``2 of 20 seeds failed, P(fail) up to 28.3 % (95 % confidence); over budget: accuracy``."""
    aside = {word: sweep[word] for word in ("skipped", "xfailed") if sweep.get(word)}
    failed, run = len(sweep.get("failed", ())), len(sweep["seeds"]) - sum(map(len, aside.values()))
    passed = f"It passed with each of {run} seeds" if run else "It neither passed nor failed with any seed"
    said = f"{failed} of {run} seeds failed" if failed else passed
    if "p_fail_upper" in sweep:
        upper, confidence = format_percent(sweep["p_fail_upper"]), format_percent(sweep["confidence"])
        said += f", P(fail) up to {upper} ({confidence} confidence)"
    said += "".join(f"; {word}: {format_seeds(which)}" for word, which in aside.items())
    over = [name for name, each in sweep.get("budgets", {}).items() if not each["kept"]]
    return f"{said}; over budget: {format_list(over)}" if over else said


def _make_strip_figures(ident: str, sweep: Mapping[str, Any]) -> Iterator[Figure]:
    failed = set(map(str, sweep.get("failed", ())))
    drawn = {name: each["values"] for name, each in sweep.get("headlines", {}).items() if each.get("values")}
    for n, (name, values) in enumerate(islice(drawn.items(), _MAX_STRIPS), 1):
        svg = draw_strip(f"{ident}-{n}", name, values, failed)
        rows = tuple((seed, format_number(each)) for seed, each in islice(values.items(), _MAX_ROWS))
        said, part = describe_strip(values, failed), len(rows) < len(values)
        yield Figure(f"{name} by seed", svg, "along", said, ("seed", name), rows, part)


def _make_sweep_tables(sweep: Mapping[str, Any]) -> Iterator[Table]:
    """The tables of a sweep that have a row."""
    yield from _drop_empty_tables(
        ("Seeds that failed", ("Seeds", "Error"), _make_error_rows(sweep)),
        ("Over budget", ("Value", "Allowed", "Found", "Seeds"), _make_breach_rows(sweep)),
        (
            "Values over seeds",
            ("Value", "Mean", "Std", "Min", "Max", "Range / (d₂·std)", "Outliers"),
            [
                *(_make_headline_row(name, each) for name, each in sweep.get("headlines", {}).items()),
                *((name, *("–",) * 6) for name in sweep.get("not_finite", {})),
            ],
        ),
        (
            "Predictions over seeds",
            ("Predictions", "Items", "Churn", "All agree on", "Constant"),
            (_make_stability_row(name, each) for name, each in sweep.get("predictions", {}).items()),
        ),
    )


def _drop_empty_tables(*tables: tuple[str, tuple[str, ...], Iterable[tuple[str, ...]]]) -> Iterator[Table]:
    for title, head, rows in tables:
        if found := tuple(islice(rows, _MAX_ROWS)):
            yield Table(title, head, found)


def _make_error_rows(sweep: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    by_error: dict[str, list[int]] = {}
    for seed, error in sweep.get("errors", {}).items():
        by_error.setdefault(error, []).append(int(seed))
    for error, which in by_error.items():
        yield format_seeds(which), error


def _make_breach_rows(sweep: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, each in sweep.get("budgets", {}).items():
        if "reason" in each:
            yield f"{name}: {each['reason']}", "", "", ""
        for breach in each.get("breaches", ()):
            allowed, found = (format_number(breach.get(key), 4) for key in ("allowed", "found"))
            yield f"{breach['rule']} of {name}", allowed, found, format_seeds(breach["seeds"])


def _make_headline_row(name: str, headline: Mapping[str, Any]) -> tuple[str, ...]:
    numbers = (format_number(headline.get(key), 4) for key in ("mean", "std", "min", "max", "range_ratio"))
    return (name, *numbers, format_seeds(headline["outliers"]) if headline.get("outliers") else "–")


def _make_stability_row(name: str, stability: Mapping[str, Any]) -> tuple[str, ...]:
    constant = format_seeds(stability["constant"]) if stability["constant"] else "–"
    return (
        name,
        f"{stability['items']:,}",
        format_percent(stability["churn"]),
        format_percent(stability["unanimous"]),
        constant,
    )


def _make_noise_table(noise: Mapping[str, Any]) -> Table:
    """The matrix: a row for each variant."""
    names = list(dict.fromkeys(name for each in noise.values() for name in each.get("std", {})))[:3]
    head = ("Noise", "Distinct", "Churn", *(f"Std of {name}" for name in names), "L2 normalised", "Seconds")
    return Table(
        "Noise matrix", head, tuple(_make_variant_row(name, each, names) for name, each in noise.items())
    )


def _make_variant_row(
    name: str, variant: Mapping[str, Any], headline_names: Iterable[str]
) -> tuple[str, ...]:
    stds = (format_number(variant.get("std", {}).get(value), 3) for value in headline_names)
    churn = format_percent(variant["churn"]) if "churn" in variant else "–"
    rest = (format_number(variant.get(key), 3) for key in ("l2_normalised", "seconds"))
    return (name, f"{variant['distinct']} of {variant['runs']}", churn, *stds, *rest)


def _format_cost(cost: Mapping[str, Any] | None) -> Iterator[str]:
    if cost is not None:
        times = f"{format_number(cost['deterministic'], 3)} s, {format_number(cost['default'], 3)} s with the controls off"
        pairs = " (pair by pair {:.2f} to {:.2f})".format(*cost["spread"]) if "spread" in cost else ""
        yield f"Determinism: ratio {cost['ratio']:.2f}{pairs}, {times}"
