"""How verdicts look, and the sentence at the head of the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

ONCE = "ran once"
"""Stands for the verdict of a test of which nothing was compared."""


class Look(NamedTuple):
    """How a verdict looks.

    Attributes:
        sign: Told beside the word: colour alone tells nobody.
        tone: Name of its colour.
        means: What it says of a test.
    """

    sign: str
    tone: str
    means: str


LOOKS: Mapping[str, Look] = {
    "diverged": Look(
        "≠", "bad", "runs differ that should be equal, or what they gave differs from the golden file"
    ),
    "failed": Look("×", "bad", "the test itself fails, the same way in each run"),
    "unobserved": Look("∅", "warn", "nothing was recorded, so nothing was compared"),
    "no-baseline": Look("?", "warn", "there is no golden file entry to compare with"),
    "foreign-baseline": Look("⇄", "warn", "the golden file entry is of another environment"),
    "skipped": Look("–", "idle", "not run, or not to be compared here"),
    ONCE: Look("1", "idle", "one run, nothing was compared"),
    "reproduced": Look("=", "good", "every run gave the same"),
}
"""By word, the worst first."""


def look(word: str) -> Look:
    """How the verdict *word* looks; a word of a later version like nothing in particular."""
    return LOOKS.get(word, Look("·", "idle", word))


def counted(words: Sequence[str]) -> dict[str, int]:
    """How often each word is there, the worst first."""
    counts = Counter(words)
    order = list(LOOKS)
    return dict(sorted(counts.items(), key=lambda each: order.index(each[0]) if each[0] in order else 99))


def tone(counts: Mapping[str, int], broken: int = 0) -> str:
    """The sign at the head of the page: ``bad`` unequal, ``good`` equal, ``idle`` none."""
    if "diverged" in counts:
        return "bad"
    if broken:
        return "idle"
    return "good" if {look(word).tone for word in counts} - {"idle"} == {"good"} else "idle"


def sentence(counts: Mapping[str, int], stored: int = 0, broken: int = 0) -> str:
    """What the page says in one sentence.

    Args:
        counts: Of each verdict.
        stored: How many of those that diverged only differ from what is stored: their runs agree.
        broken: How many tests do not hold for every seed, whatever their verdict is.
    """
    said = _verdicts(counts, stored)
    return f"{said[:-1]}, {broken:,} not for every seed." if broken else said


def _verdicts(counts: Mapping[str, int], stored: int) -> str:
    total = sum(counts.values())
    if bad := counts.get("diverged", 0) - stored:
        verb = "is" if bad == 1 else "are"
        also = f", {stored:,} {_from_golden(stored)}" if stored else ""
        return f"{bad:,} of {_tests(total)} {verb} not reproducible{also}."
    if stored:
        return f"{stored:,} of {_tests(total)} {_from_golden(stored)}."
    if not total:
        return "No test was marked, so nothing was compared."
    good = counts.get("reproduced", 0)
    if good == total:
        return "The only test is reproducible." if good == 1 else f"All {_tests(total)} are reproducible."
    if good:
        return f"{good:,} of {_tests(total)} {'was' if good == 1 else 'were'} seen to be reproducible."
    return f"None of {_tests(total)} was compared." if total > 1 else "The only test was not compared."


def _from_golden(number: int) -> str:
    return "differs from its golden file" if number == 1 else "differ from their golden files"


def _tests(number: int) -> str:
    return f"{number:,} test{'s' * (number != 1)}"
