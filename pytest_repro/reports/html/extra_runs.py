"""What further runs of a test have shown, for the page: seeds, the noise matrix, what determinism costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from pytest_repro.metrics._arguments import listed, percent, seeds
from pytest_repro.reports.html.plots.figures import Figure
from pytest_repro.reports.html.plots.strip import strip, told
from pytest_repro.reports.html.plots.ticks import number

_STRIPS, _ROWS = 6, 40
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


class Measured(NamedTuple):
    """What is told of a test.

    Attributes:
        said: In sentences.
        figures: A strip for each headline value.
        tables: Its numbers.
        broken: Whether it does not hold for every seed.
    """

    said: tuple[str, ...]
    figures: tuple[Figure, ...]
    tables: tuple[Table, ...]
    broken: bool


def measured(ident: str, row: Mapping[str, Any]) -> Measured | None:
    """What further runs of a test have shown; None where there were none.

    Args:
        ident: Of its own on the page.
        row: Of the JSON report.
    """
    sweep, noise = row.get("sweep"), row.get("noise")
    tables = [*(_of_seeds(sweep) if sweep else ()), *((_of_noise(noise),) if noise else ())]
    said = [*((seen(sweep),) if sweep else ()), *_costs(row.get("cost"))]
    if not tables and not said:
        return None
    figures = _strips(ident, sweep) if sweep else ()
    broken = sweep is not None and not sweep["kept"]
    return Measured(tuple(said), tuple(figures), tuple(tables), broken)


def seen(sweep: Mapping[str, Any]) -> str:
    """``2 of 20 seeds failed, P(fail) up to 28.3 % (95 % confidence); over budget: accuracy``."""
    aside = {word: sweep[word] for word in ("skipped", "xfailed") if sweep.get(word)}
    failed, run = len(sweep.get("failed", ())), len(sweep["seeds"]) - sum(map(len, aside.values()))
    passed = f"It passed with each of {run} seeds" if run else "It neither passed nor failed with any seed"
    said = f"{failed} of {run} seeds failed" if failed else passed
    if "p_fail_upper" in sweep:
        upper, confidence = percent(sweep["p_fail_upper"]), percent(sweep["confidence"])
        said += f", P(fail) up to {upper} ({confidence} confidence)"
    said += "".join(f"; {word}: {seeds(which)}" for word, which in aside.items())
    over = [name for name, each in sweep.get("budgets", {}).items() if not each["kept"]]
    return f"{said}; over budget: {listed(over)}" if over else said


def _strips(ident: str, sweep: Mapping[str, Any]) -> Iterator[Figure]:
    failed = set(map(str, sweep.get("failed", ())))
    drawn = {name: each["values"] for name, each in sweep.get("headlines", {}).items() if each.get("values")}
    for n, (name, values) in enumerate(islice(drawn.items(), _STRIPS), 1):
        svg = strip(f"{ident}-{n}", name, values, failed)
        rows = tuple((seed, number(each)) for seed, each in islice(values.items(), _ROWS))
        said, part = told(values, failed), len(rows) < len(values)
        yield Figure(f"{name} by seed", svg, "along", said, ("seed", name), rows, part)


def _of_seeds(sweep: Mapping[str, Any]) -> Iterator[Table]:
    """The tables of a sweep that have a row."""
    yield from _filled(
        ("Seeds that failed", ("Seeds", "Error"), _errors(sweep)),
        ("Over budget", ("Value", "Allowed", "Found", "Seeds"), _breaches(sweep)),
        (
            "Values over seeds",
            ("Value", "Mean", "Std", "Min", "Max", "Range / (d₂·std)", "Outliers"),
            [
                *(_headline(name, each) for name, each in sweep.get("headlines", {}).items()),
                *((name, *("–",) * 6) for name in sweep.get("not_finite", {})),
            ],
        ),
        (
            "Predictions over seeds",
            ("Predictions", "Items", "Churn", "All agree on", "Constant"),
            (_stability(name, each) for name, each in sweep.get("predictions", {}).items()),
        ),
    )


def _filled(*tables: tuple[str, tuple[str, ...], Iterable[tuple[str, ...]]]) -> Iterator[Table]:
    for title, head, rows in tables:
        if found := tuple(islice(rows, _ROWS)):
            yield Table(title, head, found)


def _errors(sweep: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    by_error: dict[str, list[int]] = {}
    for seed, error in sweep.get("errors", {}).items():
        by_error.setdefault(error, []).append(int(seed))
    for error, which in by_error.items():
        yield seeds(which), error


def _breaches(sweep: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, each in sweep.get("budgets", {}).items():
        if "reason" in each:
            yield f"{name}: {each['reason']}", "", "", ""
        for breach in each.get("breaches", ()):
            allowed, found = (number(breach.get(key), 4) for key in ("allowed", "found"))
            yield f"{breach['rule']} of {name}", allowed, found, seeds(breach["seeds"])


def _headline(name: str, each: Mapping[str, Any]) -> tuple[str, ...]:
    numbers = (number(each.get(key), 4) for key in ("mean", "std", "min", "max", "range_ratio"))
    return (name, *numbers, seeds(each["outliers"]) if each.get("outliers") else "–")


def _stability(name: str, each: Mapping[str, Any]) -> tuple[str, ...]:
    constant = seeds(each["constant"]) if each["constant"] else "–"
    return name, f"{each['items']:,}", percent(each["churn"]), percent(each["unanimous"]), constant


def _of_noise(noise: Mapping[str, Any]) -> Table:
    """The matrix: a row for each variant."""
    names = list(dict.fromkeys(name for each in noise.values() for name in each.get("std", {})))[:3]
    head = ("Noise", "Distinct", "Churn", *(f"Std of {name}" for name in names), "L2 normalised", "Seconds")
    return Table("Noise matrix", head, tuple(_variant(name, each, names) for name, each in noise.items()))


def _variant(name: str, each: Mapping[str, Any], names: Iterable[str]) -> tuple[str, ...]:
    stds = (number(each.get("std", {}).get(value), 3) for value in names)
    churn = percent(each["churn"]) if "churn" in each else "–"
    rest = (number(each.get(key), 3) for key in ("l2_normalised", "seconds"))
    return (name, f"{each['distinct']} of {each['runs']}", churn, *stds, *rest)


def _costs(cost: Mapping[str, Any] | None) -> Iterator[str]:
    if cost is not None:
        times = f"{number(cost['deterministic'], 3)} s, {number(cost['default'], 3)} s with the controls off"
        pairs = " (pair by pair {:.2f} to {:.2f})".format(*cost["spread"]) if "spread" in cost else ""
        yield f"Determinism: ratio {cost['ratio']:.2f}{pairs}, {times}"
