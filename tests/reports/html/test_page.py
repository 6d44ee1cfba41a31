"""The page: well-formed, self-contained, told in words as well, and nothing in it is run."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.core.compare.mismatch import Difference, Mismatch
from pytest_repro.core.compare.plot_data import Histogram, PlotData, Series
from pytest_repro.core.compare.verdict import (
    BASELINE,
    VERDICT_OUTCOMES,
    WITHOUT_BASELINE,
    Baseline,
    Verdict,
    VerdictOutcome,
)
from pytest_repro.core.diagnose import Finding
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.run import Run
from pytest_repro.core.trace.divergence import first_divergence
from pytest_repro.core.trace.trace import Op, Trace
from pytest_repro.reports.html.distributions import describe_histogram, make_histogram_plot
from pytest_repro.reports.html.labels import VERDICT_STYLES
from pytest_repro.reports.html.page import make_entries, render_fragment, render_page
from pytest_repro.reports.html.page_data import make_page_data
from pytest_repro.reports.html.scales import format_labels, format_number, make_decades, make_ticks
from pytest_repro.reports.html.series import make_distance_plot, make_series_plot
from pytest_repro.reports.html.templates import DARK, LIGHT, load_template
from pytest_repro.reports.json.rows import verdict_to_row

NASTY = "</script><img src=x onerror=alert(1)>\x1b\ud800 & \"'"
SERIES = Series(
    "step", (0, 1, 2), (1.0, 2.0, 3.0), (1.0, 2.5, 3.5), (0.0, 0.5, 0.5), (False, True, True), 1, 3
)
PLOTS = load_template("plots.html").module
VOID = {"meta", "input", "img", "br", "link"}


TEXT_PAIRS: tuple[tuple[str, str], ...] = (
    *((ink, ground) for ink in ("ink", "soft") for ground in ("page", "card", "well")),
    ("ink", "bad-tint"),
    ("soft", "bad-tint"),
    *((f"{word}", f"{word}-tint") for word in ("good", "bad", "warn", "idle")),
    *((word, ground) for word in ("good", "bad", "warn", "idle") for ground in ("page", "card")),
    *((line, ground) for line in ("ours", "theirs") for ground in ("card", "bad-tint", "well")),
    ("focus", "page"),
    ("focus", "card"),
)
"""Text and its background: WCAG 2.2, 1.4.3 requires a contrast of 4.5."""


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(a: str, b: str) -> float:
    """The contrast of two colours ``#rrggbb``, 1 … 21, as WCAG 2.2 defines it."""
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


class Page(HTMLParser):
    """Reads a page, and holds that every element is closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def verdict(name: str = "loss", word: VerdictOutcome = "diverged", series: Series | None = SERIES) -> Verdict:
    far = Difference(1, 1, 1, 0.5, 0.25, 7, (), ("2.0", "2.5"))
    found = Mismatch(f"{name}[1]", name, 1, "", "repeat", 1, "values", "float", "float", far)
    ops = [Op(f"aten.op{n}.default", (f"{n:016x}",), location="m.py:3") for n in range(9)]
    other = [*ops[:5], ops[5]._replace(outputs=("f" * 16,)), *ops[6:]]
    return Verdict(
        word,
        Plan(),
        (Run("repeat", 0, "passed", 0.25, 3), Run("repeat", 1, "passed", 0.5, 3)),
        (found,) if word == "diverged" else (),
        {name: 3},
        divergence=first_divergence(Trace.from_ops(ops), Trace.from_ops(other)),
        baseline=Baseline("g.json", "0" * 16) if word in WITHOUT_BASELINE else None,
        causes=(Finding("os-entropy", "data.py:12", f"it asks {name}", "seed it", ("clock", "threads")),),
        plots=(PlotData(name, "repeat", 1, None, "float", series, Histogram((4, 8), (2,), 3)),),
    )


def row(nodeid: str, of: Verdict, **more: Any) -> dict[str, Any]:
    return {
        **verdict_to_row(nodeid, of),
        "page": make_page_data(nodeid, of),
        "headline": "loss[1] differs",
        **more,
    }


def draw(plot: Any) -> str:
    return str(getattr(PLOTS, plot.macro)(plot))


def made(*rows: dict[str, Any]) -> str:
    return render_page(rows, 3, {"python": "3.11", "torch": NASTY}, "project")


def test_a_diverged_test_is_told_whole() -> None:
    text = made(row("tests/test_a.py::test_b", verdict()), {"nodeid": "a.py::once", "runs": [{}]})
    shown = Page(text)
    for said in (
        "1 of 2 tests is not reproducible.", "tests/test_a.py", "test_b", "os-entropy", "data.py:12",
        "seed it", "clock", "first differs at step 1", "aten.op5.default", "equal inputs, different output",
        "aten.op2.default", "aten.op8.default", "is not reproducible (bit for bit, 2 runs, seed 0)",
        "ran once", "3.11",
    ):  # fmt: skip
        assert said in shown.words, said
    assert "aten.op1.default" not in shown.words


def test_what_was_not_compared_and_what_drew_unseeded_is_listed() -> None:
    draws = [{"generator": "numpy", "location": "src/data.py:31", "via": "pandas.DataFrame.sample"}]
    names = [f"x{number} (float)" for number in range(10)]
    same = row("a.py::test_a", verdict(word="reproduced"), not_compared=names, unseeded=draws)
    page = Page(made(same))
    assert "not compared: x0 (float), x1 (float)" in page.words
    assert "x7 (float), and 2 more" in page.words
    assert "unseeded: numpy at src/data.py:31 (pandas.DataFrame.sample)" in page.words


def test_several_causes_are_told_in_order() -> None:
    causes = [Finding("clock", "a.py:3", "it reads a clock", "stop it", ("import",)), Finding("os-entropy")]
    shown = Page(made(row("a.py::test_b", replace(verdict(), causes=tuple(causes)))))
    places = [shown.words.index(text) for text in ("Cause 1 of 2", "stop it", "Cause 2 of 2", "Ruled out")]
    assert places == sorted(places)
    assert "clock, os-entropy" in shown.words
    idents = [attrs["id"] for _, attrs in shown.tags if "id" in attrs]
    assert len(idents) == len(set(idents))


def test_a_cause_links_to_its_page() -> None:
    rows = [row("a.py::test_b", replace(verdict(), causes=(Finding("clock"),)))]
    shown = Page(render_page(rows, 0, {}, "project", "https://docs.example.org"))
    assert ("a", {"href": "https://docs.example.org/causes/clock.html"}) in shown.tags
    assert "docs.example.org" not in render_page(rows, 0, {}, "project")


def test_the_page_needs_nothing_but_itself_and_runs_nothing() -> None:
    text = made(row(f"a.py::test[{NASTY}]", verdict(NASTY)))
    shown = Page(text)
    assert {tag for tag, _ in shown.tags} & {"script", "link", "img", "iframe", "object", "base"} == set()
    attributes = [(name, value or "") for _, attrs in shown.tags for name, value in attrs.items()]
    assert not [name for name, _ in attributes if name.startswith("on") or name in ("src", "srcset")]
    assert all(value.startswith("#") for name, value in attributes if name in ("href", "xlink:href"))
    assert not re.search(r"url\(|@import|@font-face", text)
    (policy,) = [a["content"] for a in shown.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"
    assert r"</script><img src=x onerror=alert(1)>\x1b\ud800 & " in shown.words
    text.encode("utf-8")


def test_attributes_are_escaped() -> None:
    found = ElementTree.fromstring(draw(make_distance_plot(NASTY, "x", ("a", "b"), SERIES)))
    ident = NASTY.replace("\x1b", r"\x1b").replace("\ud800", r"\ud800")
    assert found.attrib["aria-labelledby"] == f"{ident}-t {ident}-d"


def test_it_can_be_read_without_seeing_it() -> None:
    shown = Page(made(row("a.py::test_b", verdict()), row("a.py::test_c", verdict(word="unobserved"))))
    assert shown.all("html")[0]["lang"] == "en"
    assert {"main", "header", "footer", "h1"} <= {tag for tag, _ in shown.tags}
    first = next(attrs for tag, attrs in shown.tags if tag == "a")
    assert (first["class"], first["href"]) == ("skip", "#main")
    ids = [attrs["id"] for _, attrs in shown.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    named = [attrs["aria-labelledby"] or "" for _, attrs in shown.tags if "aria-labelledby" in attrs]
    assert {each for names in named for each in names.split()} <= set(ids)
    assert {f"#{each}" for each in ids} >= {str(attrs["href"]) for attrs in shown.all("a")}
    labels_of = {attrs["for"] for attrs in shown.all("label")}
    assert labels_of == {attrs["id"] for attrs in shown.all("input")}
    scrolled = [attrs for tag, attrs in shown.tags if attrs.get("class") == "scroll" or tag == "pre"]
    assert scrolled
    assert all(attrs["tabindex"] == "0" and attrs["aria-label"] for attrs in scrolled)


def test_every_drawing_is_told_in_words_and_numbers() -> None:
    text = made(row("a.py::test_b", verdict()))
    drawings = [ElementTree.fromstring(each) for each in re.findall(r"<svg.*?</svg>", text, re.DOTALL)]
    assert len(drawings) == 3
    for each in drawings:
        title, told = each[0], each[1]
        assert (each.attrib["role"], title.tag[-5:], told.tag[-4:]) == ("img", "title", "desc")
        assert each.attrib["aria-labelledby"].split() == [title.attrib["id"], told.attrib["id"]]
        assert title.text
        assert told.text
    words = Page(text).words
    assert "The runs first differ at step 1 (2 in run 1, 2.5 in run 2)." in words
    assert "≠ 12" + "2.5" + "0.5" in words  # the row of step 1
    assert "4 to 7" in words


def test_the_filter_knows_every_verdict_that_is_there() -> None:
    words: list[VerdictOutcome] = ["diverged", "failed", "unobserved", "skipped", "reproduced"]
    text = made(*(row(f"a.py::test_{word}", verdict(word=word)) for word in words))
    for place, word in enumerate(words, 1):
        assert f'<tr class="w{place}"><td class="v"><span class="chip {VERDICT_STYLES[word].tone}">' in text
        assert f".tests:has(#show-{place}:checked) tbody tr:not(.w{place})" in text
    assert set(VERDICT_OUTCOMES) < set(VERDICT_STYLES)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_can_be_told_from_its_ground(colours: dict[str, str]) -> None:
    assert {
        (a, b): contrast(colours[a], colours[b])
        for a, b in TEXT_PAIRS
        if contrast(colours[a], colours[b]) < 4.5
    } == {}


def test_styles_use_no_colour_but_those_that_were_measured() -> None:
    folder = Path(made.__code__.co_filename).parents[2] / "pytest_repro" / "reports" / "html"
    styles = "".join(path.read_text() for path in folder.glob("*.css"))
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b|rgba?\(|hsl", styles)
    assert set(re.findall(r"var\(--([\w-]+)\)", styles)) <= set(LIGHT) == set(DARK)


def test_contrast_is_what_the_standard_says() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_what_failed_unexpectedly_comes_first() -> None:
    rows = [
        row("a.py::good", verdict(word="reproduced")),
        row("a.py::awaited", verdict(), expected=True),
        row("a.py::bad", verdict()),
    ]
    assert [each.name for each in make_entries(rows)] == ["bad", "awaited", "good"]
    assert "1 of them expected to fail" in Page(made(*rows)).words


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "No test was marked, so nothing was compared."),
        (["reproduced"], "The only test is reproducible."),
        (["reproduced"] * 2000, "All 2,000 tests are reproducible."),
        (["reproduced", "skipped"], "1 of 2 tests is reproducible."),
        (["skipped"], "The only test was not compared."),
        (["no-baseline", "foreign-baseline"], "None of 2 tests was compared."),
        (["golden", "reproduced"], "1 of 2 tests differs from its golden file."),
        (["golden"] * 2, "2 of 2 tests differ from their golden files."),
        (["golden", "diverged"], "1 of 2 tests is not reproducible, 1 differs from its golden file."),
    ],
)
def test_the_head_says_it_in_a_sentence(words: list[str], said: str) -> None:
    rows: list[dict[str, Any]] = [
        {"nodeid": f"a.py::test_{n}", "verdict": word, "runs": []} for n, word in enumerate(words)
    ]
    for each in rows:
        if each["verdict"] == "golden":
            each |= {"verdict": "diverged", "baseline": {"path": "g.json"}}
    assert said in Page(made(*rows)).words


def test_there_are_not_too_many_drawings_and_each_test_has_its_turn() -> None:
    rows = [row(f"a.py::test_{n}", verdict()) for n in range(4)]
    for each in rows:
        each["page"]["pictures"] *= 3
    assert [len(each.figure_groups) for each in make_entries(rows, max_plots=6)] == [2, 2, 1, 1]
    assert [each.omitted_count for each in make_entries(rows, max_plots=6)] == [1, 1, 2, 2]


odd = (
    st.none()
    | st.floats()
    | st.sampled_from([math.nan, math.inf, -math.inf, 1.7e308, -1.7e308, 5e-324, -0.0])
)


@st.composite
def series(draw: st.DrawFn) -> Series:
    size = draw(st.integers(1, 80))
    rows = st.lists(odd, min_size=size, max_size=size).map(tuple)
    gaps = st.none() | st.floats(0, allow_infinity=False)
    far = tuple(draw(st.lists(gaps, min_size=size, max_size=size)))
    steps = tuple(sorted(draw(st.sets(st.integers(0, 10**6), min_size=size, max_size=size))))
    first = draw(st.sampled_from(steps))
    plain_ = draw(st.booleans())
    ours, theirs = (draw(rows), draw(rows)) if plain_ else ((), ())
    return Series("step", steps, ours, theirs, far, tuple(step >= first for step in steps), first, size)


def places(drawing: str) -> Iterator[float]:
    """Every place on a drawing."""
    for each in ElementTree.fromstring(drawing).iter():
        for name in ("x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "height", "width"):
            if name in each.attrib:
                yield float(each.attrib[name])
        yield from map(float, re.findall(r"-?[\d.]+|nan|inf", each.attrib.get("d", "")))


@given(series(), st.text(max_size=20))
def test_any_series_is_drawn_on_the_field(found: Series, name: str) -> None:
    drawings = [draw(make_distance_plot("i", name, ("run 1", "run 2"), found))]
    drawings += [draw(make_series_plot("i", name, ("run 1", "run 2"), found))] if found.reference else []
    for each in drawings:
        assert all(-10 <= place <= 410 for place in places(each))


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ((16, 28, 28), "most often (28 times) by 2 to 3 ulp"),
        ((16, 40, 16), "most of them (40) by 2 to 3 ulp"),
    ],
)
def test_most_is_more_than_half(counts: tuple[int, ...], says: str) -> None:
    found = describe_histogram(Histogram((1, 2, 4, 8), counts, 100))
    assert found == f"72 of 100 elements differ, {says}, at most by 4 to 7 ulp."


@given(st.lists(st.integers(0, 10**13), min_size=1, max_size=65), st.integers(0, 64))
def test_any_histogram_is_drawn_on_the_field(counts: list[int], start: int) -> None:
    counts[-1] += 1
    edges = tuple((1 << bits) >> 1 for bits in range(start, start + len(counts) + 1))
    drawn = draw(make_histogram_plot("i", "x", Histogram(edges, tuple(counts), sum(counts))))
    assert all(-10 <= place <= 410 for place in places(drawn))
    assert drawn.count('class="rp-bar"') == len(counts)


def test_equal_values_are_said_to_be_equal_unless_their_bits_differ() -> None:
    def drawn(**changed: Any) -> str:
        two_steps = Series("step", (0, 1), (0.0, 1.0), (0.0, 2.0), **changed)
        return draw(make_distance_plot("i", "x", ("a", "b"), two_steps))

    assert ">equal<" in drawn(distance=(0.0, 1.0), differing=(False, True), first_differing=1, total=2)
    minus_zero = drawn(distance=(0.0, 1.0), differing=(True, True), first_differing=0, total=2)
    assert (">equal<" in minus_zero, ">0<" in minus_zero) == (False, True)


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(finite, finite)
def test_ticks_are_few_ascending_and_told_apart(a: float, b: float) -> None:
    low, high = sorted((a, b))
    found = make_ticks(low, high)
    assert 1 <= len(found) <= 6
    assert found == sorted(set(found)) or low == high or found == [low, high]
    assert len(set(format_labels(found))) == len(set(found))


def test_round_numbers_are_chosen() -> None:
    assert make_ticks(0, 10) == [0, 5, 10]
    assert make_ticks(0, 1) == [0, 0.5, 1]
    assert format_labels(make_ticks(2.0, 2.00001)) == ["2", "2.000005", "2.00001"]


@given(st.floats(5e-324, 1.7e308), st.floats(5e-324, 1.7e308))
def test_decades_enclose_what_is_drawn(a: float, b: float) -> None:
    low, high = sorted((a, b))
    found = make_decades(low, high)
    assert 2 <= len(found) <= 6
    assert found[0] <= math.log10(low)
    assert math.log10(high) <= found[-1]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "–"), (math.nan, "NaN"), (-math.inf, "−∞"), (-0.5, "−0.5"), (0.0, "0"),
        (1.5e-7, "1.5\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}10⁻⁷"),
    ],
)  # fmt: skip
def test_numbers_are_written_for_people(value: float | None, said: str) -> None:
    assert format_number(value) == said


def test_drawings_stand_alone_in_another_page() -> None:
    found = make_page_data("a.py::test_b", verdict())["pictures"]
    text = render_fragment([{**found[0], "id": "x"}])
    assert len(Page(text).all("svg")) == 3
    assert text.startswith("<style>")
    assert "--theirs:" in text
    assert render_fragment([]) == ""


def test_the_page_can_be_encoded() -> None:
    Page(made(row(f"a.py::{NASTY}", verdict(NASTY))).encode().decode())


def golden(word: VerdictOutcome, stored: Baseline) -> str:
    found = Mismatch("x", "x", 0, "", BASELINE, "k", "values", "float", "float", FAR)
    told = verdict(word=word)
    found_there = (found,) if word == "diverged" else ()
    told = replace(told, mismatches=found_there, plots=(), divergence=None, causes=(), baseline=stored)
    return Page(made(row("a.py::test_a", told))).words


FAR = Difference(1, 1, 1, 0.5, 0.25, 7, (), ("2.0", "2.5"))


def test_a_golden_file_is_told_of_as_here_and_there() -> None:
    stored = Baseline("__repro__/a.json", "0" * 16, "f" * 16, {"numpy": ("2.4.6", "1.0")}, options=" --x=1")
    words = golden("diverged", stored)
    assert "values: 2.0 in the golden file, 2.5 here" in words
    assert "__repro__/a.json has values of another environment." in words
    assert re.search(r"numpy\s*2\.4\.6\s*1\.0", words)
    assert "To accept the values of this run: pytest a.py::test_a --repro-update --x=1" in words
    assert "baseline k" not in words
    words = golden("foreign-baseline", stored)
    assert "To write it: pytest a.py::test_a --repro-update --x=1" in words
    assert "a.py::test_a has a baseline of another environment only" in words
    words = golden("no-baseline", Baseline("__repro__/a.json", "0" * 16))
    assert "__repro__/a.json has no values for this test." in words
    words = golden("no-baseline", Baseline("__repro__/a.json", "0" * 16, read_error="is empty"))
    assert "__repro__/a.json is empty." in words
    assert "Restore it from version control" in words
