"""What is said of a test and its golden file, and the command that writes its entry."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from pytest_repro.core.compare.baseline import Baseline
from pytest_repro.core.compare.verdict import Verdict

_MAX_NAMES = 8


def format_update_command(nodeid: str, options: str) -> str:
    """What writes the entry, as a shell takes it.

    Args:
        nodeid: pytest's own.
        options: What the command needs beside, each behind a blank.
    """
    return f"pytest {shlex.quote(nodeid)} --repro-update{options}"


def format_headline(verdict: Verdict) -> str:
    """The failure in a few words, where there is nothing to compare with."""
    found = verdict.baseline
    assert found is not None
    if found.read_error:
        return f"{found.path} {found.read_error}"
    if verdict.outcome == "no-baseline":
        return f"nothing is stored in {found.path}: --repro-update writes it"
    return f"stored for another environment only: {_join_names(list(found.environment_diff))}"


def format_missing_baseline(nodeid: str, verdict: Verdict) -> Iterator[str]:
    """Nothing is stored, or what is stored cannot be read."""
    found = verdict.baseline
    assert found is not None
    if found.read_error:
        yield f"{nodeid} was not compared: its golden file {found.path} {found.read_error}"
        yield ""
        yield "  mend it    restore the file from version control; or delete it, and write it anew:"
        yield f"             {format_update_command(nodeid, found.options)}"
        return
    yield f"{nodeid} has no baseline: nothing is stored for it in {found.path}"
    yield ""
    yield f"  write it   {format_update_command(nodeid, found.options)}"


def format_foreign_baseline(nodeid: str, verdict: Verdict) -> Iterator[str]:
    """Something is stored, for another environment only."""
    found = verdict.baseline
    assert found is not None
    yield f"{nodeid} has a baseline of another environment only, in {found.path}"
    yield ""
    for number, (name, (here, there)) in enumerate(found.environment_diff.items()):
        yield f"  {'unlike' if number == 0 else '':<10} {name}: {here} here, {there} in the golden file"
    yield f"  {'values':<10} {_describe_values(verdict, found)}"
    if verdict.plan.tolerance is None:
        yield "  compare    @pytest.mark.reproducible(baseline=True, rtol=…, atol=…), within a tolerance"
    else:
        yield "  compare    a larger repro_baseline_kb stores them, where the entry is written"
    yield f"  write it   {format_update_command(nodeid, found.options)}"


def _describe_values(verdict: Verdict, baseline: Baseline) -> str:
    if verdict.plan.tolerance is not None:
        return f"not stored, and not the same: {_join_names(baseline.uncompared)}"
    if not baseline.differing:
        return "the same, bit for bit"
    return f"not the same bit for bit: {_join_names(baseline.differing)}"


def _join_names(names: Sequence[str]) -> str:
    more = f", and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return f"{', '.join(names[:_MAX_NAMES])}{more}"


def format_how_to_accept(nodeid: str, verdict: Verdict) -> Iterator[str]:
    """How what differs from the golden file is taken for right."""
    found = verdict.baseline
    if found is None:
        return
    yield f"  golden     {found.path}, environment {found.stored_key}"
    for name, (here, there) in found.environment_diff.items():
        yield f"  unlike     {name}: {here} here, {there} in the golden file"
    yield "  look for   what was changed since it was written: code, data, weights; the runs here agree"
    if "::" in nodeid:
        yield f"  accept     {format_update_command(nodeid, found.options)}"
