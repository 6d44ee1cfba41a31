"""Which of several reports are the shards of one run, and which are missing or foreign."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from pytest_repro.cli.merge.shard_report import Part, ShardReport, read_shard_report
from pytest_repro.core.text import parse_time
from pytest_repro.reports.failure import format_numbers, plural
from pytest_repro.reports.json.report import BadReport


@dataclass(slots=True)
class ShardSet:
    """The shards of one run.

    Attributes:
        reports: Those that are merged, by the number of their first shard.
        problems: A word and a sentence for each that is missing, unreadable or foreign.
    """

    reports: list[ShardReport] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    expected: int = 0  # number of shards that there should be; 0 if unknown

    @property
    def parts(self) -> list[Part]:
        """All sessions, in the order of the reports."""
        return [part for report in self.reports for part in report.parts]


def read_shards(paths: Iterable[str], expected: int) -> ShardSet:
    """Reads every report, and selects those that belong together; *expected* is 0 for any number."""
    found = ShardSet(expected=expected)
    for path in paths:
        try:
            found.reports.append(read_shard_report(path))
        except BadReport as error:
            found.problems.append(("unreadable", str(error)))
    _refuse_others(found, lambda part: part.run, "run")
    _refuse_others(found, lambda part: part.commit, "commit")
    _refuse_other_numbers(found)
    found.reports.sort(key=lambda report: (report.parts[0].number, report.path))
    found.problems += _list_missing(found)
    return found


def _refuse_others(found: ShardSet, get_key: Callable[[Part], str], noun: str) -> None:
    """Refuses the reports of another run than most; one that does not say which is of no run."""
    counts = Counter(get_key(part) for part in found.parts)
    if len(counts) < 2:
        return
    known = {key: number for key, number in counts.items() if key}
    ours = max(known, key=lambda key: known[key])
    for report in list(found.reports):
        theirs = {get_key(part) for part in report.parts} - {ours}
        if noun == "commit":  # git may be missing in a container
            theirs.discard("")
        if theirs:
            other = (
                f"is of {noun} {next(iter(theirs))}" if any(theirs) else f"does not say of which {noun} it is"
            )
            found.reports.remove(report)
            found.problems.append(("foreign", f"{report.path} {other}, the others are of {noun} {ours}"))


def _refuse_other_numbers(found: ShardSet) -> None:
    """Refuses a number that is there already, is beyond the expected, or counts other shards than most."""
    totals = Counter(part.total for part in found.parts)
    known = {total: count for total, count in totals.items() if total}
    if known:
        # The expected number, if any report counts as many shards.
        most = max(known, key=lambda total: (total == found.expected, known[total]))
        found.expected = found.expected or most
    seen: dict[object, str] = {}
    for report in list(found.reports):
        checks = (_check_number(part, found.expected, bool(known), seen) for part in report.parts)
        if (problem := next(filter(None, checks), None)) is not None:
            found.reports.remove(report)
            found.problems.append((problem[0], f"{report.path} {problem[1]}"))
        else:
            seen |= {_identify(part): report.path for part in report.parts}


def _identify(part: Part) -> object:
    """What two shards of a run do not share: the number, or of shards without one the session."""
    return part.number or ((part.run_id, part.started, part.duration) if part.started else part.path)


def _check_number(
    part: Part, expected: int, numbered: bool, seen: Mapping[object, str]
) -> tuple[str, str] | None:
    """What is wrong with the number of a shard; None if nothing is."""
    if numbered and not part.number:
        return "foreign", "has no number of a shard, as others do: --repro-shard=I/N gives one"
    if (other := seen.get(_identify(part))) is not None:
        what = f"shard {part.label}" if part.number else "of the same session"
        return "duplicate", f"is {what} again, as {other} is"
    if numbered and part.total != expected:
        return "foreign", f"is shard {part.label}, and {plural(expected, 'shard')} are expected"
    return None


def _list_missing(found: ShardSet) -> Iterator[tuple[str, str]]:
    numbers = {part.number for part in found.parts if part.number}
    if not numbers:
        count = len(found.parts)
        if found.expected and count < found.expected:
            yield "missing", f"{plural(found.expected, 'shard')} are expected, and there are {count:,}"
        elif found.expected and count > found.expected:
            yield "foreign", f"{plural(found.expected, 'shard')} are expected, and there are {count:,}"
        return
    missing = [number for number in range(1, found.expected + 1) if number not in numbers]
    if missing:
        noun = "shard" if len(missing) == 1 else "shards"
        yield "missing", f"{noun} {format_numbers(missing)} of {found.expected:,}"


_TOLERANCE = timedelta(minutes=5)  # how far the clock of a machine may be ahead of this one's


def measure_span(parts: Sequence[Part]) -> tuple[str, float]:
    """When the first part started, and the seconds until the last ended.

    ``""`` and the longest duration if a part does not say when it started. Wrong clocks do not count.
    """
    longest = max((part.duration for part in parts), default=0.0)
    if any(not part.started for part in parts):
        return "", longest
    spans = [
        (started, started + timedelta(seconds=part.duration), part.started)
        for part in parts
        if not find_wrong_clock(part) and (started := parse_time(part.started)) is not None
    ]
    if not spans:
        return "", longest
    first, last = min(spans), max(end for _, end, _ in spans)
    return first[2], round((last - first[0]).total_seconds(), 3)


def find_wrong_clock(part: Part) -> str:
    """What is wrong with the times of *part*; ``""`` if nothing is."""
    if part.duration < 0:
        return f"ends {-part.duration:,.0f} s before it starts"
    if not part.started:
        return ""
    if (started := parse_time(part.started)) is None:
        return f"started {part.started[:40]!r}, which is not a time"
    ahead = started - datetime.now(timezone.utc)
    return f"starts {ahead.total_seconds():,.0f} s in the future" if ahead > _TOLERANCE else ""


def list_wrong_clocks(parts: Sequence[Part]) -> Iterator[str]:
    """A line for each part whose times do not count."""
    for part in parts:
        if wrong := find_wrong_clock(part):
            yield f"clock      {part.path} {wrong}: its times do not count"
