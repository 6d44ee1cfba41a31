"""What the terminal says about merged shards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from pytest_repro.cli.merge.merged_test import MergedTest
from pytest_repro.cli.merge.shard_report import Part
from pytest_repro.cli.merge.shard_set import ShardSet, list_wrong_clocks
from pytest_repro.core.compare.verdict import SHARD
from pytest_repro.metrics._arguments import format_list
from pytest_repro.reports.failure import format_labelled, format_numbers, plural
from pytest_repro.reports.failure.text import format_failure
from pytest_repro.reports.summary import (
    COMPARED_VERDICTS,
    FAILING_VERDICTS,
    format_failing_lines,
    format_labels,
    format_too_few,
    label_verdict,
    varies_device,
)

_MAX_LINES = 200
_MAX_TEXTS = 20
_MAX_NAMES = 8
_WIDTH = 80
_BETWEEN, _WITHIN = "DIFFERENT IN SHARDS", "NOT REPRODUCIBLE IN ONE SHARD"


class Summary:
    """Counts tests, and keeps what is printed of some; a consumer of tests."""

    def __init__(self) -> None:
        self._labels: Counter[str] = Counter()
        self._broken = self._compared = self._failing = self._shared = 0
        self._varies_device = False
        self._lines: list[str] = []
        self._texts: dict[str, list[tuple[str, str]]] = {_BETWEEN: [], _WITHIN: []}
        self._notes: list[str] = []

    @property
    def failing_count(self) -> int:
        """Number of tests that failed their session, or differ between shards."""
        return self._failing

    def __call__(self, test: MergedTest) -> None:
        row, word = test.row, test.row.get("verdict")
        self._labels[label_verdict(row)] += 1
        self._compared += word in COMPARED_VERDICTS
        self._broken += word in COMPARED_VERDICTS and not row.get("sweep", {}).get("kept", True)
        self._varies_device |= varies_device(row)
        if shards := row.get("shards"):
            self._shared += 1
            if left := row.get("not_compared"):
                names = format_list(left, _MAX_NAMES)
                self._notes.append(f"not compared  {test.nodeid}  {names} in shards {', '.join(shards)}")
        if test.fails:
            self._failing += 1
            if len(self._lines) < _MAX_LINES:
                self._lines += _format_lines(test)
            texts = self._texts[_WITHIN if _find_own_shard(test) else _BETWEEN]
            if "shards" in row and word == "diverged" and test.verdict and len(texts) < _MAX_TEXTS:
                name = test.nodeid.partition("::")[2].replace("::", ".") or test.nodeid
                texts.append((f"{name}{_find_own_shard(test)}", format_failure(test.nodeid, test.verdict)))

    def format_too_few(self, required: int) -> str:
        """Why the merge fails if fewer than *required* tests were compared, else ``""``."""
        text = format_too_few(self._compared, required, f"--require={required}")
        return text.replace("the session fails", "the merge fails")

    def format(self, found: ShardSet, required: int) -> Iterator[str]:
        """The whole text, in lines."""
        parts = found.parts
        total = sum(self._labels.values())
        yield f"{_format_count(found)}, {plural(total, 'test')}{_format_head(parts[0])}"
        yield from _format_environments(parts)
        for heading, texts in self._texts.items():
            if texts:
                yield f" {heading} ".center(_WIDTH, "=")
            for name, text in texts:
                yield f" {name} ".center(_WIDTH, "_")
                yield from text.splitlines()
        yield " reproducibility ".center(_WIDTH, "=")
        yield format_labels(self._labels, self._broken, self._varies_device)
        if self._shared:
            yield f"shared    {plural(self._shared, 'test')} of several shards, compared between them"
        yield from self._notes[:_MAX_LINES]
        yield from self._lines
        if self._failing > len(self._lines):
            yield f"failed    {self._failing - len(self._lines):,} more; the merged report has them"
        yield from list_wrong_clocks(parts)
        yield from (f"{word:<10} {text}" for word, text in found.problems)
        if too_few := self.format_too_few(required):
            yield too_few


def _format_count(found: ShardSet) -> str:
    count = len(found.parts)
    of = f" of {found.expected:,}" if found.expected and count != found.expected else ""
    return f"{count:,}{of} shard{'s' * (count != 1 or bool(of))}"


def _format_head(part: Part) -> str:
    run = f", run {part.run}" if part.run else ""
    return run + (f", commit {part.commit[:12]}" if part.commit else "")


def _format_environments(parts: list[Part]) -> Iterator[str]:
    """A line for each field in which shards differ: ``isa: AVX2 in 98 shards, AVX512 in shards 3, 7``.

    A shard without the field counts for none: it did not import the library.
    """
    names = dict.fromkeys(name for part in parts for name in part.environment)
    lines = []
    for name in names:
        by_value: dict[str, list[Part]] = {}
        for part in parts:
            if name in part.environment:
                by_value.setdefault(part.environment[name], []).append(part)
        if len(by_value) > 1:
            words = [f"{value} in {_name_parts(each)}" for value, each in by_value.items()]
            lines.append(f"{name}: {format_list(words, _MAX_NAMES)}")
    yield from format_labelled("unlike", lines)


def _name_parts(parts: list[Part]) -> str:
    if len(parts) > _MAX_NAMES or not all(part.number for part in parts):
        return plural(len(parts), "shard")
    return f"shard{'s' * (len(parts) > 1)} {format_numbers([part.number for part in parts])}"


def _find_own_shard(test: MergedTest) -> str:
    """``  [shard 3/4]`` if a test of several shards is not reproducible in that one; else ``""``."""
    if test.verdict is None or "shards" not in test.row or test.row.get("verdict") != "diverged":
        return ""
    is_between = any(mismatch.axis == SHARD for mismatch in test.verdict.mismatches)
    return "" if is_between else f"  [shard {test.row['shards'][0]}]"


def _format_lines(test: MergedTest) -> Iterator[str]:
    row: Mapping[str, object] = test.row
    shard = str(row.get("shard", ""))
    where = f"  [shard {shard}]" if shard.replace("/", "").isdigit() else _find_own_shard(test)
    if row.get("verdict") in FAILING_VERDICTS:
        yield from (f"{line}{where}" for line in format_failing_lines([test.row]))
    else:
        yield f"failed    {test.nodeid}  {test.headline}".rstrip() + where
