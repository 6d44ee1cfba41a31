"""Whole failure texts, letter by letter."""

from __future__ import annotations

from dataclasses import replace
from textwrap import dedent
from typing import Any

import pytest

from pytest_repro.core.compare.mismatch import Difference, Mismatch
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.diagnose import Finding
from pytest_repro.core.plan.plan import Plan, Tolerance
from pytest_repro.core.runs.run import Run
from pytest_repro.reports.failure.text import format_failure, format_failure_note, format_headline
from pytest_repro.reports.failure.values import format_distance, format_share

FIVE = Plan(runs=5)
SPREAD = {"differing": 2, "outside_tolerance": 2, "total": 600, "non_finite": 1}
RUNS = tuple(Run("repeat", n, "passed", observation_count=1) for n in range(5))


def values(name: str, run: int = 1, step: int = 0, **far: object) -> Mismatch:
    numbers: dict[str, Any] = {"differing": 1, "total": 1, "outside_tolerance": 1, **far}
    difference = Difference(**numbers)
    shown = f"{name}[{step}]" if name == "loss" else name
    return Mismatch(shown, name, step, "", "repeat", run, "values", "float32[]", "float32[]", difference)


def verdict(*found: Mismatch, plan: Plan = FIVE, runs: tuple[Run, ...] = RUNS) -> Verdict:
    return Verdict("diverged", plan, runs, found, {"loss": 10, "x": 1})


def text(told: Verdict) -> str:
    return format_failure("test_a.py::test_b", told) + "\n"


def test_a_series_is_told_by_its_first_step_that_differs() -> None:
    told = verdict(
        values("loss", 2, 3, max_abs=3.6e-5, max_rel=1.2e-4, max_ulp=1207, first_values=("0.3", "0.31")),
        values("loss", 3, 3, max_abs=1.0),
        values("loss", 2, 4, max_abs=1.0),
        values("x", 4, first_index=(1, 7), first_values=("1.0", "nan"), **SPREAD),
    )  # fmt: skip
    assert text(told) == dedent(
        """\
        test_a.py::test_b is not reproducible (bit for bit, 5 runs, seed 0)

          loss[3]   float32[]   runs 3, 4 differ from runs 1, 2, 5
            max abs 3.6e-05, max rel 0.00012, max ulp 1,207
            0.3 in run 1, 0.31 in run 3
            first differing step of loss: 3 (0 to 9), 1 later step differs too
          x   float32[]   run 5 differs from runs 1 to 4
            2 of 600 elements (0.333 %), 1 with NaN or infinity
            first at [1, 7]: 1.0 in run 1, nan in run 5

          look for   default_rng() or random.Random() without a seed, os.urandom, the clock, the order
                     of a set of objects, racing threads, state that an earlier run left behind: in a
                     global, a cache, a file, or a fixture of module or session scope
          replay     pytest test_a.py::test_b --repro-seed=0 --repro-runs=5
        """
    )
    assert format_headline(told) == "loss[3] and 2 more differ, max abs 3.6e-05"


def test_kinds_missing_values_and_tolerances_have_their_own_words() -> None:
    where = ("repeat", 1)
    told = verdict(
        Mismatch("x", "x", 0, "", *where, "kind", "float32[2]", "float64[2]"),
        Mismatch("y", "y", 0, "", *where, "missing", "int", detail="not recorded in the other run"),
        Mismatch("z", "z", 0, "", *where, "values", "int", "int", detail="the values were not kept"),
        values("far", outside_tolerance=3, differing=9, total=10, max_abs=0.25),
        plan=Plan(runs=2, seed=7, tolerance=Tolerance(1e-5, 0.0)),
        runs=RUNS[:2],
    )
    assert text(told) == dedent(
        """\
        test_a.py::test_b is not reproducible (within rtol 1e-05 and atol 0, 2 runs, seed 7)

          x   float32[2]   run 2 differs from run 1
            float32[2] in run 1, float64[2] in run 2
          y   int   run 2 differs from run 1
            recorded in run 1 only
          z   int   run 2 differs from run 1
            the values were not kept
          far   float32[]   run 2 differs from run 1
            9 of 10 elements (90 %), 3 outside the tolerance, max abs 0.25

          look for   default_rng() or random.Random() without a seed, os.urandom, the clock, the order
                     of a set of objects, racing threads, state that an earlier run left behind: in a
                     global, a cache, a file, or a fixture of module or session scope
          replay     pytest test_a.py::test_b --repro-seed=7 --repro-runs=2
        """
    )


def test_many_observations_are_named_and_the_rest_counted() -> None:
    told = verdict(*(values(f"w{n}", max_abs=1.0) for n in range(17)), runs=RUNS[:2])
    lines = text(told).splitlines()
    assert "  also       w6, w7, w8, w9, w10, w11, w12, w13, and 3 more" in lines
    assert len(lines) == 2 + 6 * 2 + 1 + 1 + 4


def test_an_outcome_shows_the_broken_run() -> None:
    runs = (
        RUNS[0],
        Run("repeat", 1, "failed", error="ValueError: x", error_type="ValueError", traceback="line\n\n  E x"),
    )
    detail = "passed, then failed (ValueError: x)"
    told = verdict(
        Mismatch("outcome", "outcome", 0, "", "repeat", 1, "outcome", detail=detail), runs=runs, plan=Plan()
    )
    assert text(told) == dedent(
        """\
        test_a.py::test_b is not reproducible (bit for bit, 2 runs, seed 0)

          outcome    run 1 passed, run 2 failed (ValueError: x)

          run 2 failed:
            line

              E x

          replay     pytest test_a.py::test_b --repro-seed=0 --repro-runs=2
        """
    )
    assert format_headline(told) == f"outcome differs: {detail}"
    assert format_failure_note(told).startswith("outcome    run 1 passed, run 2 failed")


@pytest.mark.parametrize("capture", ["auto", "recorded"])
def test_nothing_observed_says_how_to_observe(capture: str) -> None:
    told = Verdict("unobserved", Plan(capture=capture), RUNS[:2])  # type: ignore[arg-type]
    lines = text(told).splitlines()
    assert lines[:3] == [
        "test_a.py::test_b observed nothing: nothing was compared, so it could never have failed",
        "",
        "  record what must stay the same   def test_…(repro): repro.record(loss=loss)",
    ]
    assert ("local variable" in lines[-1]) is (capture == "auto")


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0.0, "0 %"), (1.0, "100 %"), (0.5, "50 %"), (1e-9, "1e-07 %"), (0.9999999, ">99.9 %")],
)
def test_percent_never_rounds_to_all_or_nothing(share: float, shown: str) -> None:
    assert format_share(share) == shown


def test_ulps_never_stand_without_the_absolute_distance() -> None:
    assert format_distance(Difference(1, 1, 1, max_ulp=207)) == ""
    assert format_distance(Difference(1, 1, 1, max_ulp=207, max_abs=6e-8)) == "max abs 6e-08, max ulp 207"


@pytest.mark.parametrize(
    ("ulps", "shown"),
    [(2**24, "16,777,216"), (2**24 + 1, "over 2**24"), (2**52, "over 2**51"), (2**52 + 1, "over 2**52")],
)
def test_many_ulps_are_a_power_of_two(ulps: int, shown: str) -> None:
    assert format_distance(Difference(1, 1, 1, max_ulp=ulps, max_abs=1.0)) == f"max abs 1, max ulp {shown}"


def test_each_cause_links_to_its_page() -> None:
    causes = (Finding("clock", "a.py:3", "it reads a clock", "stop it"), Finding("os-entropy"))
    told = replace(verdict(values("x", max_abs=1.0)), causes=causes)
    shown = format_failure("test_a.py::test_b", told, docs_url="https://docs.example.org")
    assert shown.splitlines()[-3:-1] == [
        "  docs       https://docs.example.org/causes/clock.html",
        "             https://docs.example.org/causes/os-entropy.html",
    ]
    assert "docs" not in format_failure("test_a.py::test_b", told)
