"""Texts about a test and its golden file, and the command that writes its entry."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from pytest_repro.core.compare.verdict import Baseline, Verdict
from pytest_repro.core.text import quote_word
from pytest_repro.metrics._arguments import format_list
from pytest_repro.reports.failure import format_labelled

_MAX_NAMES = 8

HOW_TO_REPAIR = "restore the file from version control, or delete it and write a new one"


def format_update_command(nodeid: str, options: str) -> str:
    """The shell command that writes the entry; *options* start with a space."""
    return f"pytest {quote_word(nodeid)} --repro-update{options}"


def format_headline(verdict: Verdict) -> str:
    """One line about a test without a baseline."""
    baseline = verdict.baseline
    assert baseline is not None
    if baseline.read_error:
        return f"{baseline.path} {baseline.read_error}"
    if baseline.lacks_sweep:
        return f"{baseline.path} has no sweep of this test: --repro-update writes it"
    if verdict.outcome == "no-baseline":
        return f"{baseline.path} has no values for this test: --repro-update writes them"
    names = format_list(baseline.environment_diff, _MAX_NAMES)
    return f"the golden file has other values, of another environment: {names}"


def format_missing_baseline(nodeid: str, verdict: Verdict) -> Iterator[str]:
    """The failure text of a test whose golden file has no values for it, or cannot be read."""
    baseline = verdict.baseline
    assert baseline is not None
    command = format_update_command(nodeid, baseline.options)
    if baseline.read_error:
        yield f"{nodeid} was not compared: its golden file {baseline.path} {baseline.read_error}"
        yield ""
        yield from format_labelled("repair", (f"{HOW_TO_REPAIR}:", command))
    else:
        what = "values of it, but no sweep over seeds" if baseline.lacks_sweep else "no values for it"
        yield f"{nodeid} has no baseline: {baseline.path} has {what}"
        yield ""
        yield from format_labelled("write it", [command])


def format_foreign_baseline(nodeid: str, verdict: Verdict) -> Iterator[str]:
    """The failure text of a test whose golden file has other values, and only of another environment."""
    baseline = verdict.baseline
    assert baseline is not None
    yield f"{nodeid} has a baseline of another environment only, in {baseline.path}"
    yield ""
    yield from format_labelled("unlike", _format_environment_diff(baseline))
    yield from format_labelled("values", [_describe_values(verdict, baseline)])
    how = "a larger repro_baseline_kb stores them, on the machine that writes the entry"
    if verdict.plan.tolerance is None:
        how = "@pytest.mark.reproducible(baseline=True, rtol=…, atol=…), within a tolerance"
    yield from format_labelled("compare", [how])
    yield from format_labelled("write it", [format_update_command(nodeid, baseline.options)])


def _format_environment_diff(baseline: Baseline) -> Iterator[str]:
    for name, (here, stored) in baseline.environment_diff.items():
        yield f"{name}: {here} here, {stored} in the golden file"


def _describe_values(verdict: Verdict, baseline: Baseline) -> str:
    if verdict.plan.tolerance is not None:
        return f"not stored, and not the same: {format_list(baseline.uncompared, _MAX_NAMES)}"
    return f"not the same bit for bit: {format_list(baseline.differing, _MAX_NAMES)}"


def format_sweep_comparisons(baseline: Baseline) -> Iterator[str]:
    """Lines about each number over seeds, and about what differs and was not compared."""
    for name, found in islice(baseline.sweep.items(), _MAX_NAMES):
        better = "; improved, --repro-update stores it" if found.improved else ""
        yield f"{name}: {found.describe_test()}{better}"
        yield found.describe_power()
    if names := [*baseline.differing, *baseline.uncompared] if baseline.sweep else []:
        yield f"not compared, as the sweep judges: {format_list(names, _MAX_NAMES)}"


def format_shift(verdict: Verdict, name: str) -> str:
    """``: shift -0.042, p 1.2e-09`` of the number *name* over seeds; ``""`` if it has not shifted."""
    found = verdict.baseline.sweep.get(name) if verdict.baseline is not None else None
    return f": shift {found.shift:.3g}, p {found.p:.2g}" if found is not None and found.significant else ""


def format_how_to_accept(nodeid: str, verdict: Verdict) -> Iterator[str]:
    """What to look for if runs differ from the golden file, and how to accept their values."""
    baseline = verdict.baseline
    if baseline is None:
        return
    yield from format_labelled("golden", [f"{baseline.path}, environment {baseline.stored_key}"])
    yield from format_labelled("unlike", _format_environment_diff(baseline))
    yield from format_labelled("sweep", format_sweep_comparisons(baseline))
    changed = "changes since it was written: code, data, weights; the runs here agree"
    yield from format_labelled("look for", [changed])
    if "::" in nodeid:
        yield from format_labelled("accept", [format_update_command(nodeid, baseline.options)])
