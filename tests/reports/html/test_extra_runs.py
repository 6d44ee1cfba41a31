"""The page's part on seeds, noise and cost: what it says, and that each seed is drawn."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.reports.html.distributions import describe_strip, make_strip_plot
from pytest_repro.reports.html.page import render_page
from tests.conftest import Project
from tests.reports.html.test_page import NASTY, Page, draw

finite = st.floats(allow_nan=False, allow_infinity=False)
SWEEP = {
    "seeds": [0, 1, 2], "kept": False, "failed": [1], "skipped": [], "p_fail": 1 / 3, "p_fail_upper": 0.865,
    "confidence": 0.95, "errors": {"1": f"AssertionError: {NASTY}"},
    "headlines": {
        "acc": {
            "n": 3, "mean": 0.9, "std": 0.01, "min": 0.88, "max": 0.92, "range_ratio": 2.0, "outliers": [1],
            "values": {"0": 0.91, "1": 0.88, "2": 0.92},
        }
    },
    "budgets": {
        "acc": {"kept": False, "breaches": [{"rule": "std", "allowed": 0.005, "found": 0.01, "seeds": [1]}]},
        "gone": {"kept": False, "reason": "not recorded"},
    },
    "predictions": {
        "label": {"churn": 0.25, "agreement": 0.75, "items": 1200, "unanimous": 0.5, "constant": [2]}
    },
}  # fmt: skip
NOISE = {
    "ALGO+IMPL": {
        "runs": 5, "distinct": 4, "churn": 0.1, "std": {"acc": 0.02}, "l2_normalised": 0.4, "seconds": 1.5,
    },
    "CONTROL": {"runs": 5, "distinct": 1, "seconds": 2.0},
}  # fmt: skip
COST = {"deterministic": 0.32, "default": 0.16, "ratio": 2.0, "spread": [1.5, 2.25]}


def row(**more: Any) -> dict[str, Any]:
    found = {"nodeid": "a.py::test_b", "verdict": "reproduced", "runs": [{}, {}], "seconds": 1.0}
    return {**found, **more}


def shown(*rows: dict[str, Any]) -> Page:
    return Page(render_page(rows, 0, {}, "project"))


def test_a_test_that_does_not_hold_for_every_seed_is_told() -> None:
    said = re.sub(r"\s+", " ", shown(row(sweep=SWEEP, noise=NOISE, cost=COST)).words)
    for each in (
        "The only test is reproducible, 1 not for every seed.", "not for every seed",
        "1 of 3 seeds failed, P(fail) up to 86.5 % (95 % confidence); over budget: acc, gone",
        "Cost of determinism: ratio 2.00 (pair by pair 1.50 to 2.25), 0.32 s on, 0.16 s off",
        "seed 1AssertionError: </script>", "std of acc0.0050.01seed 1", "gone: not recorded",
        "acc0.90.010.880.922seed 1", "label1,20025 %50 %seed 2",
        "ALGO+IMPL4 of 510 %0.020.41.5", "CONTROL1 of 5–––2",
    ):  # fmt: skip
        assert each in said, each


@pytest.mark.parametrize("more", [{}, {"noise": NOISE}, {"cost": COST}, {"sweep": {**SWEEP, "kept": True}}])
def test_what_is_kept_lowers_no_tone_and_what_was_not_made_is_not_told(more: dict[str, Any]) -> None:
    found = shown(row(**more))
    assert "The only test is reproducible." in found.words
    assert ("Seed sweeps, noise and cost" in found.words) is bool(more)
    links = {each["href"] for each in found.all("a")}
    assert ("#t1-m" in links) is bool(more)


@given(st.dictionaries(st.integers(0, 999).map(str), finite, min_size=1, max_size=60), st.data())
def test_each_seed_is_drawn_inside_the_drawing(values: dict[str, float], data: st.DataObject) -> None:
    failed = data.draw(st.sets(st.sampled_from(sorted(values))))
    drawing = ElementTree.fromstring(draw(make_strip_plot("s", NASTY, values, failed)))
    dots = [each for each in drawing if each.tag.endswith("circle")]
    crosses = [each for each in drawing if each.get("class") == "rp-failed"]
    assert (len(dots), len(crosses)) == (len(values) - len(failed), len(failed))
    width, height = map(float, str(drawing.get("viewBox")).split()[2:])
    for dot in dots:
        assert 0 < float(str(dot.get("cx"))) < width
        assert 0 < float(str(dot.get("cy"))) < height
    assert describe_strip(values, failed).startswith(f"{len(values)} seeds, from ")


def test_a_session_shows_what_it_measured(project: Project) -> None:
    source = """
    import random, pytest
    @pytest.mark.reproducible(seeds=6)
    def test_a(repro): repro.record(loss=random.random())
    @pytest.mark.reproducible(runs=1, seeds=3)
    def test_once(repro): assert repro.seed != 2
    """
    project(source, "--repro-html=page.html").check(passed=1, failed=1)
    said = Page((project.pytester.path / "page.html").read_text("utf-8")).words
    for each in ("loss by seed", "6 seeds, from ", "Passed with each of 6 seeds", "1 of 3 seeds failed"):
        assert each in said
