"""Tests that several shards ran: their values are compared, and the worst verdict is kept."""

from __future__ import annotations

import json
import struct
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from pytest_repro.cli.merge.compare_rows import compare_rows
from pytest_repro.cli.merge.merged_test import MergedTest, make_merged_test
from pytest_repro.cli.merge.shard_report import Part
from pytest_repro.core.checked_json import JsonNode, parse_json
from pytest_repro.reports.json.report import encode_test
from pytest_repro.reports.json.stream import StreamedTest

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
        """Removes the temporary file."""
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
