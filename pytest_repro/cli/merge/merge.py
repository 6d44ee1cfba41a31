"""Reads the tests of all shards once more, and writes them where they are wanted."""

from __future__ import annotations

import json
import struct
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import Any

from pytest_repro.cli.merge.compare_rows import compare_rows
from pytest_repro.cli.merge.merged_test import (
    Consumer,
    MergedTest,
    Writer,
    add_label,
    find_part,
    make_merged_test,
)
from pytest_repro.cli.merge.shard_report import Part, ShardReport, get_label
from pytest_repro.cli.merge.shard_set import ShardSet, measure_span
from pytest_repro.core.checked_json import JsonNode, parse_json
from pytest_repro.reports.json import FORMAT
from pytest_repro.reports.json.report import ReportHead, encode_end, encode_head, encode_test
from pytest_repro.reports.json.stream import ReportStream, StreamedTest

_LENGTH = struct.Struct("<Q")
_RANKS = ("diverged", "failed", "unobserved", "no-baseline", "foreign-baseline", "reproduced", "skipped")
"""Verdicts, the worst first. One shard that compared a test outweighs another that skipped it."""


@dataclass(slots=True)
class _SharedTest:
    """What is kept of a test: where its rows, and what was found, are in the temporary file."""

    first: int  # place of the row that the others are compared with
    first_part: Part
    worst: int  # place of the row with the worst verdict
    worst_part: Part
    worst_label: str  # shard of this row
    rank: int  # of this verdict
    labels: list[str]
    found: list[int] = field(default_factory=list)  # places of comparisons


class SharedTests:
    """Takes the tests that are in several reports, and gives each once.

    The rows are in a temporary file: two runs of a large test suite do not fit into memory. There, each text
    follows its length.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self._end = 0
        self._tests: dict[tuple[str, int], _SharedTest] = {}
        self._counts: Counter[tuple[str, str]] = Counter()

    def start_report(self) -> None:
        """The next tests are of another report."""
        self._counts.clear()

    def add(self, test: StreamedTest, label: str, part: Part) -> None:
        """Adds a test that ran in *part*, a shard called *label*.

        Raises:
            BadReport: A row is malformed.
        """
        nodeid, label = test.node["nodeid"].as_text(), sys.intern(label)
        # A report has several tests with one node id if a plugin repeats them.
        number = self._counts[nodeid, part.label]
        self._counts[nodeid, part.label] += 1
        place, rank = self._write(test.text), _get_rank(test.node)
        kept = self._tests.get((nodeid, number))
        if kept is None:
            self._tests[nodeid, number] = _SharedTest(place, part, place, part, label, rank, [label])
            return
        found = compare_rows(self._read(kept.first), kept.first_part, test.node, part, kept.labels[0], label)
        kept.labels.append(label)
        kept.found.append(self._write(json.dumps(asdict(found))))
        if rank < kept.rank:
            kept.worst, kept.worst_part, kept.worst_label, kept.rank = place, part, label, rank

    def __iter__(self) -> Iterator[MergedTest]:
        """Each test once, in the order in which they came first."""
        for kept in self._tests.values():
            row = self._make_row(kept)
            node = JsonNode(row, "merged test")
            yield make_merged_test(node, "".join(encode_test(row)), kept.worst_part)

    def close(self) -> None:
        self._file.close()

    def _make_row(self, kept: _SharedTest) -> dict[str, Any]:
        row = {k: v for k, v in self._read(kept.worst).as_object().items() if k not in ("shard", "shards")}
        lists: dict[str, list[Any]] = {"runs": [], "mismatches": [], "not_compared": []}
        for found in (self._read(place).value for place in kept.found):
            for key, added in lists.items():
                added += found[key]
            if found["values_differ"]:
                row["verdict"] = "diverged"
        others = [label for label in kept.labels if label != kept.worst_label]
        merged = {"nodeid": row.pop("nodeid"), "shards": [kept.worst_label, *others], **row}
        for key, added in lists.items():
            if added:
                merged[key] = [*merged.get(key, ()), *added]
        if "observations" in merged:  # the last key, as in every report
            merged["observations"] = merged.pop("observations")
        return merged

    def _write(self, text: str) -> int:
        """The place of *text*."""
        content, place = text.encode(), self._end
        self._file.seek(place)
        self._file.write(_LENGTH.pack(len(content)) + content)
        self._end += _LENGTH.size + len(content)
        return place

    def _read(self, place: int) -> JsonNode:
        self._file.seek(place)
        (length,) = _LENGTH.unpack(self._file.read(_LENGTH.size))
        return parse_json(self._file.read(length), "merged test: ")


def _get_rank(row: JsonNode) -> int:
    verdict = row.get("verdict")
    return _RANKS.index(verdict.as_text(*_RANKS)) if verdict is not None else len(_RANKS)


def merge_tests(found: ShardSet, consumers: Sequence[Consumer]) -> None:
    """Gives every test to each of *consumers*: those of one shard first, then those that several ran.

    Raises:
        BadReport: A row is malformed, or a file has changed.
    """
    shared = _find_shared(found.reports)
    with closing(SharedTests()) as shared_tests:
        for report in found.reports:
            shared_tests.start_report()
            for test in ReportStream(report.path):
                label = get_label(test.node, report.label)
                part = find_part(report, label)
                if hash(test.node["nodeid"].as_text()) in shared:
                    shared_tests.add(test, label, part)
                else:
                    text = add_label(test.node, test.text, label)
                    _give(make_merged_test(test.node, text, part, label), consumers)
        for merged in shared_tests:
            _give(merged, consumers)


def _give(test: MergedTest, consumers: Iterable[Consumer]) -> None:
    for consume in consumers:
        consume(test)


def _find_shared(reports: Iterable[ShardReport]) -> set[int]:
    """Hashes of node ids in several reports; releases the hashes of the reports."""
    seen: set[int] = set()
    shared: set[int] = set()
    for report in reports:
        shared |= seen & report.nodeid_hashes
        seen |= report.nodeid_hashes
        report.nodeid_hashes = set()
    return shared


class JsonReport(Writer):
    """Writes the merged report, format 1."""

    def __init__(self) -> None:
        super().__init__()
        self._counts: Counter[str] = Counter()

    def __call__(self, test: MergedTest) -> None:
        self.write_item(f"{',' if self.item_count else ''}\n  {test.text}")
        if (word := test.row.get("verdict")) is not None:
            self._counts[word] += 1

    def encode(self, found: ShardSet) -> Iterator[str | bytes]:
        yield encode_head(build_head(found) | {"summary": dict(sorted(self._counts.items()))})
        yield from self.read_items()
        yield encode_end(self.item_count > 0)


def build_head(found: ShardSet) -> dict[str, Any]:
    """The head of the merged report: what all shards share, and ``shards`` with what they do not."""
    parts = found.parts
    started, duration = measure_span(parts)
    run_ids = list(dict.fromkeys(part.run_id for part in parts))
    run_id = run_ids[0] if len(run_ids) == 1 else max(run_ids, key=_get_attempt)
    commit = next((part.commit for part in parts if part.commit), "")
    head = ReportHead(run_id if parts[0].run or len(run_ids) == 1 else "", "", commit, started, duration)
    environment, seed = merge_environments(parts), parts[0].seed
    shared = {"run_id": head.run_id, "commit": commit, "environment": environment, "seed": seed}
    return {
        "format": FORMAT,
        **{name: value for name, value in head._asdict().items() if value},
        "environment": environment,
        "seed": seed,
        "shards": [_encode_part(part, shared) for part in parts],
        **({"problems": [f"{word}: {text}" for word, text in found.problems]} if found.problems else {}),
    }


def _get_attempt(run_id: str) -> tuple[int, str]:
    attempt = run_id.rpartition("-")[2]
    return int(attempt) if attempt.isdigit() else 0, run_id


def _encode_part(part: Part, shared: Mapping[str, object]) -> dict[str, Any]:
    """A part without what it shares with all others."""
    own = {name: getattr(part, name) for name in ("run_id", "commit", "environment", "seed")}
    return {
        **({"shard": part.label} if part.number else {}),
        "report": part.path,
        **({"started": part.started} if part.started else {}),
        "duration": part.duration,
        "tests": part.test_count,
        **{name: value for name, value in own.items() if value != shared[name]},
    }


def merge_environments(parts: Sequence[Part]) -> dict[str, str]:
    """The fields of all environments; one that differs has each value, ``"AVX2 | AVX512"``.

    A shard without a field did not import the library: it says nothing about it.
    """
    values: dict[str, dict[str, None]] = {}
    for part in parts:
        for name, value in part.environment.items():
            values.setdefault(name, {})[value] = None
    return {name: " | ".join(found) for name, found in values.items()}
