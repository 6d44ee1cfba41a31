"""The page: rows of the JSON report, and what is told beside them, as one file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from pytest_repro.reports.html.colours import DARK, LIGHT, format_css_variables
from pytest_repro.reports.html.extra_runs import ExtraRunsSection, describe_sweep, make_extra_runs_section
from pytest_repro.reports.html.labels import (
    RAN_ONCE,
    VERDICT_STYLES,
    VerdictStyle,
    choose_tone,
    count_verdicts,
    format_sentence,
    get_verdict_style,
)
from pytest_repro.reports.html.page_data import (
    DivergenceContext,
    Plot,
    divergence_context_from_row,
    plot_from_row,
)
from pytest_repro.reports.html.plots.figures import Figure, make_figures
from pytest_repro.reports.html.plots.svg import escape_unprintable

MAX_PLOTS = 240
"""Pictures on the page: each takes up to 60 kB."""


@dataclass(frozen=True, slots=True)
class FigureGroup:
    """A picture, drawn."""

    name: str
    kind: str
    sides: tuple[str, str]
    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A test on the page.

    Attributes:
        ident: Of its own on the page.
        row: Of the JSON report, ``expected`` and ``headline`` among its keys.
        verdict: Its verdict.
        style: How that looks.
        file: Where the test is.
        name: Its node id without that.
        details: What is told beside the row; empty of a test that reproduced.
        summary: What was seen, in a line.
        figure_groups: What is drawn.
        omitted_count: How many more pictures there would be.
        divergence: The op that parted.
        extra_runs: What further runs have shown: seeds, noise, cost.
    """

    ident: str
    row: Mapping[str, Any]
    verdict: str
    style: VerdictStyle
    file: str
    name: str
    details: Mapping[str, Any] = field(default_factory=dict)
    summary: str = ""
    figure_groups: tuple[FigureGroup, ...] = ()
    omitted_count: int = 0
    divergence: DivergenceContext | None = None
    extra_runs: ExtraRunsSection | None = None

    @property
    def link(self) -> str:
        """Where on the page there is more of it; ``""`` where there is nothing."""
        return self.ident if self.has_details else f"{self.ident}-m" if self.extra_runs else ""

    @property
    def has_details(self) -> bool:
        """Whether there is more to tell of it than its row."""
        return bool(self.details) and self.verdict not in ("reproduced", "skipped")


def make_entries(rows: Sequence[Mapping[str, Any]], max_plots: int = MAX_PLOTS) -> list[Entry]:
    """What the page shows of each test, the worst verdicts first.

    Args:
        rows: Of the JSON report; ``page`` in them is what :func:`~.told.plain` gave.
        max_plots: Pictures on the page: of each test the first, then of each the second, …
    """
    ranks = {word: n for n, word in enumerate(VERDICT_STYLES)}
    ranked = sorted(rows, key=lambda row: (ranks.get(_get_verdict(row), 0), bool(row.get("expected"))))
    shown = _distribute([len(row.get("page", {}).get("pictures", ())) for row in ranked], max_plots)
    return [_make_entry(f"t{n}", row, few) for n, (row, few) in enumerate(zip(ranked, shown), 1)]


def _get_verdict(row: Mapping[str, Any]) -> str:
    return str(row.get("verdict", RAN_ONCE))


def _distribute(counts: Sequence[int], total: int) -> list[int]:
    """How many pictures each test gets: one in turn, while there are any left."""
    given = [0] * len(counts)
    while total > 0 and given != list(counts):
        for place, number in enumerate(counts):
            if given[place] < number and total > 0:
                given[place] += 1
                total -= 1
    return given


def _make_entry(ident: str, row: Mapping[str, Any], max_plots: int) -> Entry:
    told = row.get("page", {})
    found: list[Mapping[str, Any]] = list(told.get("pictures", ()))
    file, _, name = str(row["nodeid"]).partition("::")
    return Entry(
        ident,
        row,
        _get_verdict(row),
        get_verdict_style(_get_verdict(row)),
        file,
        name or file,
        told,
        _summarize(row, told),
        tuple(
            _make_figure_group(f"{ident}-{n}", plot_from_row(each))
            for n, each in enumerate(found[:max_plots], 1)
        ),
        len(found) - max_plots,
        divergence_context_from_row(told["sides"]) if told.get("sides") else None,
        make_extra_runs_section(f"{ident}-m", row),
    )


def _summarize(row: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    """What was seen of a test, in a line; of one that holds nothing."""
    sweep = row.get("sweep")
    broken = describe_sweep(sweep) if sweep and not sweep["kept"] else ""
    return str(
        row.get("headline") or next((r["error"] for r in details.get("runs", ()) if r["error"]), broken)
    )


def _make_figure_group(ident: str, plot: Plot) -> FigureGroup:
    return FigureGroup(plot.name, plot.kind, plot.sides, tuple(make_figures(ident, plot)))


def render_page(
    rows: Sequence[Mapping[str, Any]], seed: int, environment: Mapping[str, str], title: str
) -> str:
    """The whole page.

    Args:
        rows: Of the JSON report, with ``page`` where there is more to tell.
        seed: Of the session.
        environment: What else could change a result, by name.
        title: Of what was tested.
    """
    shown = make_entries(rows)
    counts = count_verdicts([each.verdict for each in shown])
    told = [each for each in shown if each.has_details]
    expected = sum(each.verdict == "diverged" and bool(each.row.get("expected")) for each in shown)
    stored = sum(each.verdict == "diverged" and "baseline" in each.row for each in shown)
    broken = sum(each.extra_runs is not None and each.extra_runs.broken for each in shown)
    rendered: str = _load_template("page.html").render(
        title=title,
        seed=seed,
        environment=environment,
        entries=shown,
        told=told,
        counts=counts,
        sentence=format_sentence(counts, stored, broken),
        expected=expected,
        look=get_verdict_style,
        light=format_css_variables(LIGHT),
        dark=format_css_variables(DARK),
        tone=choose_tone(counts, broken),
        seconds=_sum_seconds(shown),
        styles=_read_style("drawing.css") + _read_style("page.css"),
    )
    return rendered


def _sum_seconds(page_entries: Iterable[Entry]) -> float:
    return float(sum(each.row.get("seconds", 0.0) for each in page_entries))


@cache
def _load_template(name: str) -> Any:
    from jinja2 import Environment, FileSystemLoader
    from markupsafe import Markup

    def finalize(value: Any) -> Any:
        return (
            escape_unprintable(value) if isinstance(value, str) and not isinstance(value, Markup) else value
        )

    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, finalize=finalize,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return made.get_template(name)


def _read_style(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def render_fragment(rows: Iterable[Mapping[str, Any]]) -> str:
    """The drawings of *rows*, to stand in a page that is not ours; ``""`` where there are none.

    Args:
        rows: Pictures that :func:`~.told.plain` gave, with ``id``, of its own there.
    """
    found = [each for row in rows for each in make_figures(str(row["id"]), plot_from_row(row))]
    if not found:
        return ""
    styles = (
        f".rp-stand{{{format_css_variables(LIGHT)}}}{_read_style('drawing.css')}{_read_style('standing.css')}"
    )
    drawings = "".join(
        f"<figure><figcaption>{escape(escape_unprintable(each.title))}</figcaption>{each.svg}</figure>"
        for each in found
    )
    return f'<style>{styles}</style><div class="rp-stand">{drawings}</div>'


def write_page(path: Path, text: str) -> None:
    """Writes the page to *path*, making its folder where there is none.

    Raises:
        OSError: The file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
