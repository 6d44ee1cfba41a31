"""Reads the tests of all shards once more, and writes them where they are wanted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

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
from pytest_repro.cli.merge.shared_tests import SharedTests
from pytest_repro.reports.json import FORMAT
from pytest_repro.reports.json.report import ReportHead, encode_end, encode_head
from pytest_repro.reports.json.stream import ReportStream


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
