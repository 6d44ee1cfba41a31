"""The section of the page about runs that are not compared: seed sweep, noise matrix, cost of determinism.

``extra_runs.html`` has their tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from pytest_repro.metrics._arguments import format_list, format_percent, format_seeds
from pytest_repro.reports.html.distributions import make_strip_plot
from pytest_repro.reports.html.figures import Figure
from pytest_repro.reports.html.scales import format_number

_MAX_STRIPS = 6
_MAX_ROWS = 40


class ExtraRunsSection(NamedTuple):
    """What the page shows of one test; *broken* if the test fails its seed sweep."""

    sentences: list[str]
    figures: list[Figure]
    broken: bool


def make_extra_runs_section(ident: str, row: Mapping[str, Any]) -> ExtraRunsSection | None:
    """The section of a row of the JSON report, None without such runs; *ident* must be unique on the page."""
    sweep, cost = row.get("sweep"), row.get("cost")
    if not (sweep or row.get("noise") or cost):
        return None
    sentences = [describe_sweep(sweep)] if sweep else []
    sentences += [_describe_cost(cost)] if cost else []
    figures = list(_make_strip_figures(ident, sweep)) if sweep else []
    return ExtraRunsSection(sentences, figures, sweep is not None and not sweep["kept"])


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
