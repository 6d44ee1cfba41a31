"""How verdicts look, and the sentence at the head of the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

RAN_ONCE = "ran once"
"""Stands for the verdict of a test of which nothing was compared."""


class VerdictStyle(NamedTuple):
    """How a verdict looks.

    Attributes:
        symbol: Told beside the word: colour alone tells nobody.
        tone: Name of its colour.
        meaning: What it says of a test.
    """

    symbol: str
    tone: str
    meaning: str


VERDICT_STYLES: Mapping[str, VerdictStyle] = {
    "diverged": VerdictStyle(
        "≠", "bad", "runs differ that should be equal, or what they gave differs from the golden file"
    ),
    "failed": VerdictStyle("×", "bad", "the test itself fails, the same way in each run"),
    "unobserved": VerdictStyle("∅", "warn", "nothing was recorded, so nothing was compared"),
    "no-baseline": VerdictStyle("?", "warn", "there is no golden file entry to compare with"),
    "foreign-baseline": VerdictStyle("⇄", "warn", "the golden file entry is of another environment"),
    "skipped": VerdictStyle("–", "idle", "not run, or not to be compared here"),
    RAN_ONCE: VerdictStyle("1", "idle", "one run, nothing was compared"),
    "reproduced": VerdictStyle("=", "good", "every run gave the same"),
}
"""By word, the worst first."""


def get_verdict_style(verdict: str) -> VerdictStyle:
    """How the verdict *verdict* looks; a word of a later version like nothing in particular."""
    return VERDICT_STYLES.get(verdict, VerdictStyle("·", "idle", verdict))


def count_verdicts(verdicts: Sequence[str]) -> dict[str, int]:
    """How often each word is there, the worst first."""
    counts = Counter(verdicts)
    order = list(VERDICT_STYLES)
    return dict(sorted(counts.items(), key=lambda each: order.index(each[0]) if each[0] in order else 99))


def choose_tone(counts: Mapping[str, int], broken: int = 0) -> str:
    """The sign at the head of the page: ``bad`` unequal, ``good`` equal, ``idle`` none."""
    if "diverged" in counts:
        return "bad"
    if broken:
        return "idle"
    return "good" if {get_verdict_style(word).tone for word in counts} - {"idle"} == {"good"} else "idle"


def format_sentence(counts: Mapping[str, int], golden_only: int = 0, broken: int = 0) -> str:
    """What the page says in one sentence.

    Args:
        counts: Of each verdict.
        golden_only: How many of those that diverged only differ from what is stored: their runs agree.
        broken: How many tests do not hold for every seed, whatever their verdict is.
    """
    said = _format_verdict_counts(counts, golden_only)
    return f"{said[:-1]}, {broken:,} not for every seed." if broken else said


def _format_verdict_counts(counts: Mapping[str, int], golden_only: int) -> str:
    total = sum(counts.values())
    if bad := counts.get("diverged", 0) - golden_only:
        verb = "is" if bad == 1 else "are"
        also = f", {golden_only:,} {_describe_golden_difference(golden_only)}" if golden_only else ""
        return f"{bad:,} of {_format_test_count(total)} {verb} not reproducible{also}."
    if golden_only:
        return f"{golden_only:,} of {_format_test_count(total)} {_describe_golden_difference(golden_only)}."
    if not total:
        return "No test was marked, so nothing was compared."
    good = counts.get("reproduced", 0)
    if good == total:
        return (
            "The only test is reproducible."
            if good == 1
            else f"All {_format_test_count(total)} are reproducible."
        )
    if good:
        return f"{good:,} of {_format_test_count(total)} {'was' if good == 1 else 'were'} seen to be reproducible."
    return (
        f"None of {_format_test_count(total)} was compared."
        if total > 1
        else "The only test was not compared."
    )


def _describe_golden_difference(number: int) -> str:
    return "differs from its golden file" if number == 1 else "differ from their golden files"


def _format_test_count(number: int) -> str:
    return f"{number:,} test{'s' * (number != 1)}"
