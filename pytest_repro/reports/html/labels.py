"""How the page shows verdicts, and its headline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pytest_repro.reports.failure import plural

RAN_ONCE = "ran once"
"""Stands for the verdict of a test whose runs were not compared."""


class VerdictStyle(NamedTuple):
    """How the page shows a verdict: *symbol* is beside the word, since colour alone is not accessible."""

    symbol: str
    tone: str
    meaning: str


VERDICT_STYLES: Mapping[str, VerdictStyle] = {
    "diverged": VerdictStyle(
        "≠", "bad", "runs differ, or differ from the golden file, or an assertion of pytest-repro failed"
    ),
    "failed": VerdictStyle("×", "bad", "the test itself fails, the same way in each run"),
    "unobserved": VerdictStyle("∅", "warn", "nothing was compared, or less than capture=strict asks for"),
    "no-baseline": VerdictStyle("?", "warn", "the golden file has no values for this test"),
    "foreign-baseline": VerdictStyle("⇄", "warn", "the golden file has values of another environment only"),
    "skipped": VerdictStyle("–", "idle", "skipped, or unavailable on this machine"),
    RAN_ONCE: VerdictStyle("1", "idle", "one run, nothing was compared"),
    "reproduced": VerdictStyle("=", "good", "all runs are equal"),
}
"""By verdict, the worst first."""


def get_verdict_style(verdict: str) -> VerdictStyle:
    """The style of a verdict, neutral for a word of a later version."""
    return VERDICT_STYLES.get(verdict, VerdictStyle("·", "idle", verdict))


def count_verdicts(verdicts: Sequence[str] | Counter[str]) -> dict[str, int]:
    """Number of tests by verdict, the worst first; *verdicts* may be counted already."""
    order = {word: rank for rank, word in enumerate(VERDICT_STYLES)}
    return dict(sorted(Counter(verdicts).items(), key=lambda item: order.get(item[0], 99)))


def choose_tone(counts: Mapping[str, int], broken: int = 0) -> str:
    """The colour of the headline: ``bad``, ``good`` or ``idle``."""
    if "diverged" in counts:
        return "bad"
    tones = {get_verdict_style(word).tone for word in counts} - {"idle"}
    return "good" if tones == {"good"} and not broken else "idle"


def format_sentence(counts: Mapping[str, int], golden_only: int = 0, broken: int = 0) -> str:
    """The headline of the page, of *counts* by verdict.

    *golden_only* of those that diverged differ only from their golden file; *broken* ones fail a seed sweep.
    """
    sentence = _format_verdict_counts(counts, golden_only)
    return f"{sentence}, {broken:,} not for every seed." if broken else f"{sentence}."


def _format_verdict_counts(counts: Mapping[str, int], golden_only: int) -> str:
    total, good = sum(counts.values()), counts.get("reproduced", 0)
    tests = plural(total, "test")
    differ = "differs from its golden file" if golden_only == 1 else "differ from their golden files"
    if bad := counts.get("diverged", 0) - golden_only:
        also = f", {golden_only:,} {differ}" if golden_only else ""
        share = "The only test" if total == 1 else f"{bad:,} of {tests}"
        return f"{share} {'is' if bad == 1 else 'are'} not reproducible{also}"
    if golden_only:
        return f"{golden_only:,} of {tests} {differ}"
    if not total:
        return "No test was marked, so nothing was compared"
    if total == 1:
        return "The only test is reproducible" if good else "The only test was not compared"
    if good == total:
        return f"All {tests} are reproducible"
    if not good:
        return f"None of {tests} was compared"
    return f"{good:,} of {tests} {'is' if good == 1 else 'are'} reproducible"
