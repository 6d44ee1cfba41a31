"""The section of a session: counts by verdict, and lines about single tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pytest_repro.reports.failure import plural

FAILING_VERDICTS = ("diverged", "unobserved", "no-baseline", "foreign-baseline")
"""Verdicts with which a test fails; the section lists these tests."""

COMPARED_VERDICTS = ("reproduced", "diverged")

OBSERVED_NOTHING, NOT_COMPARED = "observed nothing", "not compared: "
_NO_DEVICE = "skipped on every device"
_MAX_NAMES = 3  # largest number of local variables that are listed for a test that observes nothing
_MAX_UNOBSERVED = 5  # largest number of tests that observe nothing which are listed without ``-v``


def fails(row: Mapping[str, Any]) -> bool:
    """Whether the test of a row of the JSON report failed its session."""
    if row.get("expected"):
        return False
    plan, word = row.get("plan", {}), row.get("verdict")
    if word == "unobserved" and plan.get("audit"):
        return plan.get("capture") == "strict" and bool(row.get("not_compared"))
    if word == "failed" or word in FAILING_VERDICTS or row.get("failure"):
        return True
    return not row.get("sweep", {}).get("kept", True)


def count_compared(rows: Sequence[Mapping[str, Any]]) -> int:
    """Number of tests whose runs were compared."""
    return sum(row.get("verdict") in COMPARED_VERDICTS for row in rows)


def format_counts(rows: Sequence[Mapping[str, Any]]) -> str:
    """``2 compared (1 reproduced, 1 diverged), 0 observed nothing, 1 skipped on every device, 1 failed``.

    Always shows the first two, and the third if devices are varied, so that a session that compares less
    than before is noticed.
    """
    swept = [row for row in rows if "sweep" in row and row.get("verdict") in COMPARED_VERDICTS]
    broken = sum(not row["sweep"]["kept"] for row in swept)  # runs with one seed agree, but they fail
    return format_labels(Counter(map(label_verdict, rows)), broken, any(map(varies_device, rows)))


def format_labels(counts: Counter[str], broken: int, with_devices: bool) -> str:
    """:func:`format_counts` of *counts* by :func:`label_verdict`, which it empties.

    *broken* compared tests are failed by a seed sweep; *with_devices* if any test varies the device.
    """
    compared = sum(counts[word] for word in COMPARED_VERDICTS)
    words = ", ".join(f"{counts.pop(word)} {word}" for word in COMPARED_VERDICTS if counts[word])
    parts = [f"{compared} compared" + (f" ({words})" if words else "")]
    always = [OBSERVED_NOTHING, *([_NO_DEVICE] if with_devices else [])]
    parts += [f"{counts.pop(word, 0)} {word}" for word in always]
    # Workers report in any order, so ties are sorted by word.
    rest = sorted(((n, word) for word, n in counts.items() if n), key=lambda item: (-item[0], item[1]))
    if broken:
        rest.append((broken, "not for every seed"))
    return ", ".join([*parts, *(f"{number} {word}" for number, word in rest)])


def varies_device(row: Mapping[str, Any]) -> bool:
    """Whether the test varies the device."""
    planned = row.get("plan", {}).get("vary", {}).get("device", ())
    return len(planned) > 1 or any(run["axis"] == "device" for run in row["runs"])


def label_verdict(row: Mapping[str, Any]) -> str:
    """What the counts call the verdict of *row*, which has ``headline`` if it failed by it."""
    word = str(row.get("verdict", "ran once, nothing compared"))
    if row.get("expected") and word in ("failed", "skipped"):
        return "xfailed"
    if word == "skipped":
        axes = sorted({run["axis"] for run in row["runs"] if "reason" in run})
        if axes and axes != ["device"]:
            return f"skipped at every value of {', '.join(axes)}"
        return _NO_DEVICE if axes else word
    if word == "unobserved":
        is_partial = str(row.get("headline", "")).startswith(NOT_COMPARED)
        return "compared only in part" if is_partial else OBSERVED_NOTHING
    return word


def format_too_few(compared: int, required: int, source: str) -> str:
    """Why the session fails if fewer than *required* tests were compared, else ``""``.

    *source* is the option that requires it: ``"--repro-require=5"``.
    """
    if compared >= required:
        return ""
    count = f"{compared or 'no'} test{'s were' if compared != 1 else ' was'} compared"
    return f"too few   {count}, {source} requires at least {required}: the session fails"


def format_unavailable_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each unavailable value of an axis."""
    runs = (run for row in rows for run in row["runs"] if "reason" in run and run["outcome"] == "skipped")
    return _format_tallies("not run", (f"{run['axis']} {run['value']}: {run['reason']}" for run in runs))


def format_foreign_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each environment whose stored values were compared in place of this one's."""
    found = [row["baseline"] for row in rows if row.get("verdict") == "reproduced" and "baseline" in row]
    return _format_tallies(
        "golden",
        (
            f"{_describe_agreement(each)} of an environment that differs in "
            f"{', '.join(each['environment_differs'])}"
            for each in found
            if each.get("environment_differs")
        ),
    )


def _describe_agreement(baseline: Mapping[str, Any]) -> str:
    if baseline.get("sweep"):
        return "no shift from the sweep"
    return f"{'within the tolerance of' if baseline.get('differing') else 'equal to'} values"


def format_skipped_extra_run_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each reason why runs that are not compared were left out."""
    return _format_tallies("left out", (row["unmade_note"] for row in rows if row.get("unmade_note")))


def _format_tallies(label: str, texts: Iterable[str]) -> Iterator[str]:
    for text, number in sorted(Counter(texts).items()):
        yield f"{label:<10}{text} ({number} test{'s' * (number != 1)})"


def format_diagnosis_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line on the time that the search for causes took: it is not that of the tests."""
    times = [float(row["diagnosis_seconds"]) for row in rows if "diagnosis_seconds" in row]
    if times:
        left_out = sum("undiagnosed" in row and not row.get("plan", {}).get("ranks") for row in rows)
        more = f"; {left_out} more not diagnosed, --repro-diagnose=always does" if left_out else ""
        yield f"diagnosis {plural(len(times), 'test')} in {sum(times):.1f} s{more}"


def format_not_compared_lines(rows: Sequence[Mapping[str, Any]], verbose: bool) -> Iterator[str]:
    """How many local variables of tests that were compared were not, or which if *verbose*."""
    left = [row for row in rows if row.get("not_compared") and row.get("verdict") != "unobserved"]
    if verbose:
        yield from (f"not compared  {row['nodeid']}  {', '.join(row['not_compared'])}" for row in left)
    elif left:
        values = sum(len(row["not_compared"]) for row in left)
        tests = f"{len(left):,} test{'s' * (len(left) > 1)}"
        yield f"not compared  {tests} left {values:,} local variable{'s' * (values > 1)} out; -v names them"


def format_past_log_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each replayed test that asked for something not in the log."""
    for row in rows:
        places = list(dict.fromkeys(place for run in row["runs"] for place in run.get("beyond", ())))
        if places:
            more = f", and {len(places) - 1} more" if len(places) > 1 else ""
            yield f"beyond    {row['nodeid']}  {places[0]}{more}"


def format_notes(rows: Sequence[Mapping[str, Any]], key: str, label: str) -> Iterator[str]:
    """The notes that rows hold under *key*, each a text or several lines."""
    for row in rows:
        if note := row.get(key):
            first, *lines = [note] if isinstance(note, str) else note
            yield f"{label:<9} {row['nodeid']}  {first}".rstrip()
            yield from (f"{'':10}{line}" for line in lines)


def format_failing_lines(rows: Sequence[Mapping[str, Any]], is_verbose: bool = True) -> Iterator[str]:
    """A line for each test with a failing verdict that is not ``expected`` to fail.

    Many tests that observe nothing, as in an audit, share one line unless *is_verbose*.
    """
    failing = [row for row in rows if row.get("verdict") in FAILING_VERDICTS and not row.get("expected")]
    unobserved = sum(row["verdict"] == "unobserved" for row in failing)
    is_long = unobserved > _MAX_UNOBSERVED and not is_verbose
    for row in failing:
        if not (is_long and row["verdict"] == "unobserved"):
            note = ""
            if row.get("headline") == OBSERVED_NOTHING and (names := row.get("not_compared")):
                note = f"; {NOT_COMPARED}{', '.join(names[:_MAX_NAMES])}{', …' * (len(names) > _MAX_NAMES)}"
            yield f"{row['verdict']}  {row['nodeid']}  {row.get('headline', '')}{note}".rstrip()
    if is_long:
        yield f"unobserved  {unobserved:,} tests: -v lists them"
