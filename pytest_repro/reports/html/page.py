"""Renders the HTML report: one self-contained file from the rows of the JSON report.

``extra_runs.html`` has the tables of runs that are not compared: seeds, noise, cost of determinism.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from pytest_repro.core.runs.run import UnseededDraw
from pytest_repro.metrics._arguments import format_list, format_percent, format_seeds
from pytest_repro.reports.failure import plural
from pytest_repro.reports.failure.cause import get_link
from pytest_repro.reports.failure.unseeded import format_headline
from pytest_repro.reports.html.distributions import make_strip_plot
from pytest_repro.reports.html.figures import Figure, make_figures
from pytest_repro.reports.html.labels import (
    RAN_ONCE,
    VERDICT_STYLES,
    choose_tone,
    count_verdicts,
    format_sentence,
    get_verdict_style,
)
from pytest_repro.reports.html.scales import format_number
from pytest_repro.reports.html.templates import render_template

MAX_PLOTS = 240
"""Values on the page with plots; each takes up to 60 kB."""

_MAX_NAMES = 8  # most names in a note


@dataclass(frozen=True, slots=True)
class Entry:
    """A test on the page.

    Attributes:
        details: What :func:`~.page_data.make_page_data` gave; empty for a test that reproduced.
    """

    ident: str  # its HTML id, unique on the page
    row: Mapping[str, Any]  # its row of the JSON report, with ``expected`` and ``headline``
    verdict: str
    file: str  # the part of the node id before ``::``; *name* is the part after it
    name: str
    details: Mapping[str, Any]
    summary: str  # what happened, in one line
    notes: tuple[str, ...]  # what was not compared, and what drew from generators that the test did not seed
    figure_groups: tuple[tuple[str, str, tuple[Figure, ...]], ...]  # name, kind and figures of each value
    omitted_count: int  # values whose plots are left out
    extra_runs: ExtraRunsSection | None

    @property
    def link(self) -> str:
        """The id of the section with more about the test; ``""`` without one."""
        return self.ident if self.has_details else f"{self.ident}-m" if self.extra_runs else ""

    @property
    def has_details(self) -> bool:
        """Whether the test has a section of its own."""
        return bool(self.details) and self.verdict not in ("reproduced", "skipped")


def make_entries(rows: Sequence[Mapping[str, Any]], max_plots: int = MAX_PLOTS) -> list[Entry]:
    """The tests on the page, worst verdicts first.

    Of all their values *max_plots* have plots: first one of each test, then a second of each, …
    """
    ranks = {word: n for n, word in enumerate(VERDICT_STYLES)}
    ranked = sorted(rows, key=lambda row: (ranks.get(_get_verdict(row), 0), bool(row.get("expected"))))
    shares = _distribute([len(row.get("page", {}).get("pictures", ())) for row in ranked], max_plots)
    return [_make_entry(f"t{n}", row, share) for n, (row, share) in enumerate(zip(ranked, shares), 1)]


def _get_verdict(row: Mapping[str, Any]) -> str:
    return str(row.get("verdict", RAN_ONCE))


def _distribute(counts: Sequence[int], total: int) -> list[int]:
    """How much of *total* each gets, dealt out one at a time, at most its count."""
    shares = [0] * len(counts)
    while total > 0 and shares != list(counts):
        for index, count in enumerate(counts):
            if shares[index] < count and total > 0:
                shares[index] += 1
                total -= 1
    return shares


def _make_entry(ident: str, row: Mapping[str, Any], max_plots: int) -> Entry:
    details = row.get("page", {})
    plots: list[Mapping[str, Any]] = list(details.get("pictures", ()))
    file, _, name = str(row["nodeid"]).partition("::")
    return Entry(
        ident,
        row,
        _get_verdict(row),
        file,
        name or file,
        details,
        _summarize(row, details),
        tuple(_list_notes(row)),
        tuple(
            (plot["name"], plot["kind"], tuple(make_figures(f"{ident}-{n}", plot)))
            for n, plot in enumerate(plots[:max_plots], 1)
        ),
        len(plots) - max_plots,
        make_extra_runs_section(f"{ident}-m", row),
    )


def _summarize(row: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    sweep = row.get("sweep")
    broken = describe_sweep(sweep) if sweep and not sweep["kept"] else ""
    errors = (run["error"] for run in details.get("runs", ()) if run["error"])
    return str(row.get("headline") or row.get("failure") or next(errors, broken))


def _list_notes(row: Mapping[str, Any]) -> Iterator[str]:
    if names := row.get("not_compared"):
        yield f"not compared: {format_list(names, _MAX_NAMES)}"
    if draws := row.get("unseeded"):
        yield f"unseeded: {format_headline([UnseededDraw(**draw) for draw in draws], _MAX_NAMES)}"


def render_page(
    rows: Sequence[Mapping[str, Any]],
    seed: int,
    environment: Mapping[str, str],
    title: str,
    docs_url: str = "",
    others: Mapping[str, int] = {},
    problems: Sequence[str] = (),
    seconds: float | None = None,
) -> str:
    """The whole page.

    Args:
        rows: Rows of the JSON report, with what :func:`~.page_data.make_page_data` gave as ``page``.
        seed: Seed of the session.
        environment: Whatever else could change a result, by name.
        title: Name of the tested project.
        docs_url: Address of the documentation; ``""`` for no links.
        others: Number of tests that are counted but not listed, by verdict.
        problems: A sentence for each report that is missing in merged ones.
        seconds: Of all tests; by default of those in *rows*.
    """
    entries = make_entries(rows)
    listed = count_verdicts([entry.verdict for entry in entries])
    counts = count_verdicts(Counter(listed) + Counter(others))
    diverged = [entry.row for entry in entries if entry.verdict == "diverged"]
    broken = sum(entry.extra_runs is not None and entry.extra_runs.broken for entry in entries)
    sentence = format_sentence(counts, sum("baseline" in row for row in diverged), broken)
    if problems:
        sentence += f" {plural(len(problems), 'problem')} with shards."
    return render_template(
        "page.html",
        ("plots.css", "page.css"),
        noun="tests",
        title=title,
        get_link=lambda name: get_link(name, docs_url),
        get_style=get_verdict_style,
        seed=seed,
        environment=environment,
        entries=entries,
        detailed=[entry for entry in entries if entry.has_details],
        counts=counts,
        sentence=sentence,
        expected=sum(bool(row.get("expected")) for row in diverged),
        tone="bad" if problems else choose_tone(counts, broken),
        seconds=float(sum(row.get("seconds", 0.0) for row in rows)) if seconds is None else seconds,
        others=others,
        problems=problems,
    )


def render_fragment(rows: Iterable[Mapping[str, Any]]) -> str:
    """The plots of *rows* with their styles, for a page of another program; ``""`` without any.

    *rows* are plots of :func:`~.page_data.make_page_data`, each with an ``id`` unique on that page.
    """
    figures = [figure for row in rows for figure in make_figures(str(row["id"]), row)]
    return render_template("fragment.html", ("plots.css", "fragment.css"), figures=figures) if figures else ""


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
