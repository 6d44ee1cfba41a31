"""The section of the session: counts by verdict, and a line for each test that failed it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

FAILING_VERDICTS = ("diverged", "unobserved", "no-baseline", "foreign-baseline")
"""Verdicts that are told by name."""


COMPARED_VERDICTS = ("reproduced", "diverged")
"""Verdicts of tests that were really compared."""


def count_compared(rows: Sequence[Mapping[str, Any]]) -> int:
    """How many tests were really compared; one that failed, was skipped or ran once was not."""
    return sum(row.get("verdict") in COMPARED_VERDICTS for row in rows)


def format_counts(rows: Sequence[Mapping[str, Any]]) -> str:
    """``2 compared (1 reproduced, 1 diverged), 0 observed nothing, 1 skipped on every device, 1 failed``.

    The first three are always told, so that a session that compares less than it did is seen to.
    """
    counts = Counter(map(_label_verdict, rows))
    words = ", ".join(f"{counts.pop(word)} {word}" for word in COMPARED_VERDICTS if counts[word])
    told = [f"{count_compared(rows)} compared" + (f" ({words})" if words else "")]
    told += [f"{counts.pop(each, 0)} {each}" for each in (_OBSERVED_NOTHING, _NO_DEVICE)]
    # Reports of workers come in any order: ties are told by name.
    rest = sorted(((n, word) for word, n in counts.items() if n), key=lambda each: (-each[0], each[1]))
    # Their runs of one seed agree, and yet they fail.
    broken = sum(
        row.get("verdict") in COMPARED_VERDICTS and not row["sweep"]["kept"] for row in rows if "sweep" in row
    )
    rest += [(broken, "not for every seed")] if broken else []
    return ", ".join([*told, *(f"{number} {word}" for number, word in rest)])


_OBSERVED_NOTHING = "observed nothing"
_NO_DEVICE = "skipped on every device"


def _label_verdict(row: Mapping[str, Any]) -> str:
    """What is counted of a test."""
    word = str(row.get("verdict", "ran once, nothing compared"))
    if word == "skipped":
        axes = sorted({run["axis"] for run in row["runs"] if "reason" in run})
        if axes and axes != ["device"]:
            return f"skipped at every value of {', '.join(axes)}"
        return _NO_DEVICE if axes else word
    return _OBSERVED_NOTHING if word == "unobserved" else word


def format_too_few(rows: Sequence[Mapping[str, Any]], required: int, source: str) -> str:
    """Why the session fails that was to compare more tests; ``""`` where it compared enough.

    Args:
        rows: Rows of the JSON report.
        required: How many tests must have been compared.
        source: By what that was asked: ``"--repro-require=5"``.
    """
    found = count_compared(rows)
    if found >= required:
        return ""
    how = f"{found or 'no'} test{'s were' if found != 1 else ' was'} compared"
    return f"too few   {how}, {source} asks for {required} or more: the session fails"


def format_unavailable_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each value of an axis that was not to be had, and how many tests asked for it."""
    runs = (run for row in rows for run in row["runs"] if "reason" in run and run["outcome"] == "skipped")
    counts = Counter(f"{run['axis']} {run['value']}: {run['reason']}" for run in runs)
    for what, number in sorted(counts.items()):
        yield f"not run   {what} ({number} test{'s' * (number != 1)})"


def format_skipped_extra_run_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each reason why runs besides those that are compared were asked for, and not made."""
    counts = Counter(row["unmade_note"] for row in rows if row.get("unmade_note"))
    for what, number in sorted(counts.items()):
        yield f"not made  {what} ({number} test{'s' * (number != 1)})"


def format_past_log_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each test that was fed from a log, and asked for what is not in it."""
    for row in rows:
        told = dict.fromkeys(each for run in row["runs"] for each in run.get("beyond", ()))
        if told:
            more = f", and {len(told) - 1} more" if len(told) > 1 else ""
            yield f"beyond    {row['nodeid']}  {next(iter(told))}{more}"


def format_seed_check_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each test of which a run with another seed has shown something."""
    for row in rows:
        if told := row.get("control_note"):
            yield f"control   {row['nodeid']}  {told}"


def format_failing_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each test that is not reproducible or observed nothing.

    Args:
        rows: Rows of the JSON report with their ``headline``; ``expected`` where the test is
            marked ``xfail``.
    """
    for row in rows:
        if row.get("verdict") in FAILING_VERDICTS and not row.get("expected"):
            yield f"{row['verdict']}  {row['nodeid']}  {row.get('headline', '')}".rstrip()
