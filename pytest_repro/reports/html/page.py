"""The page: rows of the JSON report, and what is told beside them, as one file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from pytest_repro.reports.html.colours import DARK, LIGHT, variables
from pytest_repro.reports.html.extra_runs import Measured, measured, seen
from pytest_repro.reports.html.labels import LOOKS, ONCE, Look, counted, look, sentence, tone
from pytest_repro.reports.html.page_data import Drawn, Sides, drawn, sides
from pytest_repro.reports.html.plots.figures import Figure, figures
from pytest_repro.reports.html.plots.svg import printable

MOST = 240
"""Pictures on the page: each takes up to 60 kB."""


@dataclass(frozen=True, slots=True)
class Pictured:
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
        word: Its verdict.
        look: How that looks.
        file: Where the test is.
        name: Its node id without that.
        told: What is told beside the row; empty of a test that reproduced.
        seen: What was seen, in a line.
        pictures: What is drawn.
        undrawn: How many more pictures there would be.
        sides: The op that parted.
        measured: What further runs have shown: seeds, noise, cost.
    """

    ident: str
    row: Mapping[str, Any]
    word: str
    look: Look
    file: str
    name: str
    told: Mapping[str, Any] = field(default_factory=dict)
    seen: str = ""
    pictures: tuple[Pictured, ...] = ()
    undrawn: int = 0
    sides: Sides | None = None
    measured: Measured | None = None

    @property
    def link(self) -> str:
        """Where on the page there is more of it; ``""`` where there is nothing."""
        return self.ident if self.close else f"{self.ident}-m" if self.measured else ""

    @property
    def close(self) -> bool:
        """Whether there is more to tell of it than its row."""
        return bool(self.told) and self.word not in ("reproduced", "skipped")


def entries(rows: Sequence[Mapping[str, Any]], most: int = MOST) -> list[Entry]:
    """What the page shows of each test, the worst verdicts first.

    Args:
        rows: Of the JSON report; ``page`` in them is what :func:`~.told.plain` gave.
        most: Pictures on the page: of each test the first, then of each the second, …
    """
    ranks = {word: n for n, word in enumerate(LOOKS)}
    ranked = sorted(rows, key=lambda row: (ranks.get(_word(row), 0), bool(row.get("expected"))))
    shown = _shared([len(row.get("page", {}).get("pictures", ())) for row in ranked], most)
    return [_entry(f"t{n}", row, few) for n, (row, few) in enumerate(zip(ranked, shown), 1)]


def _word(row: Mapping[str, Any]) -> str:
    return str(row.get("verdict", ONCE))


def _shared(wanted: Sequence[int], most: int) -> list[int]:
    """How many pictures each test gets: one in turn, while there are any left."""
    given = [0] * len(wanted)
    while most > 0 and given != list(wanted):
        for place, number in enumerate(wanted):
            if given[place] < number and most > 0:
                given[place] += 1
                most -= 1
    return given


def _entry(ident: str, row: Mapping[str, Any], few: int) -> Entry:
    told = row.get("page", {})
    found: list[Mapping[str, Any]] = list(told.get("pictures", ()))
    file, _, name = str(row["nodeid"]).partition("::")
    return Entry(
        ident, row, _word(row), look(_word(row)), file, name or file, told,
        _seen(row, told),
        tuple(_pictured(f"{ident}-{n}", drawn(each)) for n, each in enumerate(found[:few], 1)),
        len(found) - few, sides(told["sides"]) if told.get("sides") else None, measured(f"{ident}-m", row),
    )  # fmt: skip


def _seen(row: Mapping[str, Any], told: Mapping[str, Any]) -> str:
    """What was seen of a test, in a line; of one that holds nothing."""
    sweep = row.get("sweep")
    broken = seen(sweep) if sweep and not sweep["kept"] else ""
    return str(row.get("headline") or next((r["error"] for r in told.get("runs", ()) if r["error"]), broken))


def _pictured(ident: str, each: Drawn) -> Pictured:
    return Pictured(each.name, each.kind, each.sides, tuple(figures(ident, each)))


def page(rows: Sequence[Mapping[str, Any]], seed: int, environment: Mapping[str, str], title: str) -> str:
    """The whole page.

    Args:
        rows: Of the JSON report, with ``page`` where there is more to tell.
        seed: Of the session.
        environment: What else could change a result, by name.
        title: Of what was tested.
    """
    shown = entries(rows)
    counts = counted([each.word for each in shown])
    told = [each for each in shown if each.close]
    expected = sum(each.word == "diverged" and bool(each.row.get("expected")) for each in shown)
    stored = sum(each.word == "diverged" and "baseline" in each.row for each in shown)
    broken = sum(each.measured is not None and each.measured.broken for each in shown)
    rendered: str = _template("page.html").render(
        title=title, seed=seed, environment=environment, entries=shown, told=told, counts=counts,
        sentence=sentence(counts, stored, broken), expected=expected, look=look,
        light=variables(LIGHT), dark=variables(DARK), tone=tone(counts, broken), seconds=_seconds(shown),
        styles=_style("drawing.css") + _style("page.css"),
    )  # fmt: skip
    return rendered


def _seconds(shown: Iterable[Entry]) -> float:
    return float(sum(each.row.get("seconds", 0.0) for each in shown))


@cache
def _template(name: str) -> Any:
    from jinja2 import Environment, FileSystemLoader
    from markupsafe import Markup

    def finalized(value: Any) -> Any:
        return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, finalize=finalized,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return made.get_template(name)


def _style(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def standing(rows: Iterable[Mapping[str, Any]]) -> str:
    """The drawings of *rows*, to stand in a page that is not ours; ``""`` where there are none.

    Args:
        rows: Pictures that :func:`~.told.plain` gave, with ``id``, of its own there.
    """
    found = [each for row in rows for each in figures(str(row["id"]), drawn(row))]
    if not found:
        return ""
    styles = f".rp-stand{{{variables(LIGHT)}}}{_style('drawing.css')}{_style('standing.css')}"
    drawings = "".join(
        f"<figure><figcaption>{escape(printable(each.title))}</figcaption>{each.svg}</figure>"
        for each in found
    )
    return f'<style>{styles}</style><div class="rp-stand">{drawings}</div>'


def write(path: Path, text: str) -> None:
    """Writes the page to *path*, making its folder where there is none.

    Raises:
        OSError: The file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
