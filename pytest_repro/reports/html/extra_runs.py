"""The section of the page about runs that are not compared: seed sweep, noise matrix, cost of determinism."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from pytest_repro.metrics._arguments import format_list, format_percent, format_seeds
from pytest_repro.reports.html.distributions import make_strip_plot
from pytest_repro.reports.html.figures import Figure
from pytest_repro.reports.html.scales import format_number

_MAX_STRIPS = 6
_MAX_ROWS = 40
_MAX_STD_COLUMNS = 3
_STATISTICS = ("mean", "std", "min", "max", "range_ratio")

Row = tuple[str, ...]


class Table(NamedTuple):
    """A table; the first cell of a row is its name."""

    title: str
    head: Row
    rows: Sequence[Row]


class ExtraRunsSection(NamedTuple):
    """What the page shows of one test.

    Attributes:
        broken: Whether the test fails its seed sweep.
    """

    sentences: tuple[str, ...]
    figures: tuple[Figure, ...]
    tables: tuple[Table, ...]
    broken: bool


def make_extra_runs_section(ident: str, row: Mapping[str, Any]) -> ExtraRunsSection | None:
    """The section of a row of the JSON report, None without such runs; *ident* must be unique on the page."""
    sweep, noise, cost = row.get("sweep"), row.get("noise"), row.get("cost")
    tables = [*(_make_sweep_tables(sweep) if sweep else ()), *((_make_noise_table(noise),) if noise else ())]
    tables = [table._replace(rows=table.rows[:_MAX_ROWS]) for table in tables if table.rows]
    sentences = [*((describe_sweep(sweep),) if sweep else ()), *((_describe_cost(cost),) if cost else ())]
    if not tables and not sentences:
        return None
    figures = tuple(_make_strip_figures(ident, sweep)) if sweep else ()
    broken = sweep is not None and not sweep["kept"]
    return ExtraRunsSection(tuple(sentences), figures, tuple(tables), broken)


def describe_sweep(sweep: Mapping[str, Any]) -> str:
    """``2 of 20 seeds failed, P(fail) up to 28.3 % (95 % confidence); over budget: accuracy``."""
    other = {word: sweep[word] for word in ("skipped", "xfailed") if sweep.get(word)}
    failed, runs = len(sweep.get("failed", ())), len(sweep["seeds"]) - sum(map(len, other.values()))
    if failed:
        text = f"{failed} of {runs} seeds failed"
    else:
        text = f"Passed with each of {runs} seeds" if runs else "Neither passed nor failed with any seed"
    if "p_fail_upper" in sweep:
        upper, confidence = format_percent(sweep["p_fail_upper"]), format_percent(sweep["confidence"])
        text += f", P(fail) up to {upper} ({confidence} confidence)"
    parts = [text, *(f"{word}: {format_seeds(seeds)}" for word, seeds in other.items())]
    if over := [name for name, budget in sweep.get("budgets", {}).items() if not budget["kept"]]:
        parts.append(f"over budget: {format_list(over)}")
    return "; ".join(parts)


def _describe_cost(cost: Mapping[str, Any]) -> str:
    pairs = " (pair by pair {:.2f} to {:.2f})".format(*cost["spread"]) if "spread" in cost else ""
    on, off = format_number(cost["deterministic"], 3), format_number(cost["default"], 3)
    return f"Cost of determinism: ratio {cost['ratio']:.2f}{pairs}, {on} s on, {off} s off"


def _make_strip_figures(ident: str, sweep: Mapping[str, Any]) -> Iterator[Figure]:
    failed = set(map(str, sweep.get("failed", ())))
    headlines = {
        name: found["values"] for name, found in sweep.get("headlines", {}).items() if found.get("values")
    }
    for n, (name, values) in enumerate(islice(headlines.items(), _MAX_STRIPS), 1):
        plot = make_strip_plot(f"{ident}-{n}", name, values, failed)
        rows = tuple((seed, format_number(value)) for seed, value in islice(values.items(), _MAX_ROWS))
        partial = len(rows) < len(values)
        yield Figure(plot.title, plot, "along", plot.description, ("seed", name), rows, partial)


def _make_sweep_tables(sweep: Mapping[str, Any]) -> Iterator[Table]:
    by_error: dict[str, list[int]] = {}
    for seed, error in sweep.get("errors", {}).items():
        by_error.setdefault(error, []).append(int(seed))
    errors = [(format_seeds(seeds), error) for error, seeds in by_error.items()]
    yield Table("Seeds that failed", ("Seeds", "Error"), errors)
    yield Table("Over budget", ("Value", "Allowed", "Found", "Seeds"), [*_make_breach_rows(sweep)])
    headlines = [
        (name, *_format_keys(found, _STATISTICS, 4), _format_any_seeds(found.get("outliers")))
        for name, found in sweep.get("headlines", {}).items()
    ]
    headlines += [(name, *("–",) * 6) for name in sweep.get("not_finite", {})]
    head = ("Value", "Mean", "Std", "Min", "Max", "Range / (d₂·std)", "Outliers")
    yield Table("Values over seeds", head, headlines)
    predictions = [
        (name, f"{found['items']:,}", *_format_shares(found), _format_any_seeds(found["constant"]))
        for name, found in sweep.get("predictions", {}).items()
    ]
    head = ("Predictions", "Items", "Churn", "All agree on", "Constant")
    yield Table("Predictions over seeds", head, predictions)


def _make_breach_rows(sweep: Mapping[str, Any]) -> Iterator[Row]:
    for name, budget in sweep.get("budgets", {}).items():
        if "reason" in budget:
            yield f"{name}: {budget['reason']}", "", "", ""
        for breach in budget.get("breaches", ()):
            numbers = _format_keys(breach, ("allowed", "found"), 4)
            yield f"{breach['rule']} of {name}", *numbers, format_seeds(breach["seeds"])


def _make_noise_table(noise: Mapping[str, Any]) -> Table:
    """A row for each variant."""
    stds = list(dict.fromkeys(name for variant in noise.values() for name in variant.get("std", {})))
    stds = stds[:_MAX_STD_COLUMNS]
    head = ("Noise", "Distinct", "Churn", *(f"Std of {name}" for name in stds), "L2 normalised", "Seconds")
    return Table("Noise matrix", head, [_make_noise_row(*item, stds) for item in noise.items()])


def _make_noise_row(name: str, variant: Mapping[str, Any], stds: Iterable[str]) -> Row:
    distinct = f"{variant['distinct']} of {variant['runs']}"
    churn = format_percent(variant["churn"]) if "churn" in variant else "–"
    numbers = _format_keys(variant, ("l2_normalised", "seconds"), 3)
    return name, distinct, churn, *_format_keys(variant.get("std", {}), stds, 3), *numbers


def _format_shares(predictions: Mapping[str, float]) -> Iterator[str]:
    return (format_percent(predictions[key]) for key in ("churn", "unanimous"))


def _format_keys(numbers: Mapping[str, float], keys: Iterable[str], digits: int) -> Iterator[str]:
    return (format_number(numbers.get(key), digits) for key in keys)


def _format_any_seeds(seeds: Sequence[int] | None) -> str:
    return format_seeds(seeds) if seeds else "–"
