"""A test as the merged report has it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pytest_repro.cli.merge.shard_report import Part, ShardReport, decode_verdict, get_label
from pytest_repro.cli.merge.shard_set import ShardSet
from pytest_repro.core.checked_json import JsonNode
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.files import replace_file
from pytest_repro.reports.failure.text import format_failure, format_headline, format_lost_runs
from pytest_repro.reports.summary import FAILING_VERDICTS, fails


@dataclass(frozen=True, slots=True)
class MergedTest:
    """A test of the merged report."""

    row: Mapping[str, Any]  # its row, with ``headline`` if its verdict is a failing one
    text: str  # the row as JSON text, without ``headline``
    verdict: Verdict | None  # what the row says, unless the test reproduced

    @property
    def nodeid(self) -> str:
        return str(self.row["nodeid"])

    @property
    def fails(self) -> bool:
        """Whether the test failed its session."""
        return fails(self.row)

    @property
    def headline(self) -> str:
        """Why it failed or was skipped, in one line."""
        if headline := self.row.get("headline") or self.row.get("failure"):
            return str(headline)
        if "kept" in (sweep := self.row.get("sweep", {})) and not sweep["kept"]:
            return "not for every seed"
        errors = (
            (run.error for run in self.verdict.runs if run.error) if self.verdict is not None else iter(())
        )
        return next((error.partition("\n")[0] for error in errors), "")

    @property
    def failure_text(self) -> str:
        """The failure as the terminal showed it, as far as the report has it; ``""`` if it did not fail."""
        if self.verdict is None or not self.fails:
            return ""
        if self.verdict.outcome in FAILING_VERDICTS:
            return format_failure(self.nodeid, self.verdict)
        return self.verdict.runs[0].traceback or format_lost_runs(self.nodeid, self.verdict)


Consumer = Callable[[MergedTest], None]
"""Takes one test after the other."""


def find_part(report: ShardReport, label: str) -> Part:
    """The part of *report* in which a test with this label ran."""
    return next((part for part in report.parts if part.label == label), report.parts[0])


def make_merged_test(row: JsonNode, text: str, part: Part, label: str = "") -> MergedTest:
    """The test of *row*, which ran in *part*; a *label* is that of its shard, if the row does not say it.

    Raises:
        BadReport: The row is malformed.
    """
    value = row.as_object()
    if label and "shard" not in value and "shards" not in value:
        value = {"nodeid": value["nodeid"], "shard": label, **value}
    if value.get("verdict") == "reproduced" and "sweep" not in value and "failure" not in value:
        return MergedTest(value, text, None)
    verdict = decode_verdict(row, part.environment, part.seed)
    is_failing = verdict.outcome in FAILING_VERDICTS
    return MergedTest({**value, "headline": format_headline(verdict)} if is_failing else value, text, verdict)


def add_label(row: JsonNode, text: str, default: str) -> str:
    """*text* of a row with the shard in which the test ran."""
    if "shard" in row.as_object() or "shards" in row.as_object():
        return text
    label = json.dumps(get_label(row, default), ensure_ascii=False)
    return f'{{\n   "shard": {label},{text[1:]}'


_COPY_BYTES = 2**20


class Writer:
    """A consumer of tests that writes a file; the beginning is known last, so items wait in another file."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self.item_count = 0

    def __call__(self, test: MergedTest) -> None:
        raise NotImplementedError

    def encode(self, found: ShardSet) -> Iterator[str | bytes]:
        """The whole file, in pieces."""
        raise NotImplementedError

    def save(self, path: Path, found: ShardSet) -> None:
        """Writes the file, or raises :class:`OSError`."""
        replace_file(path, self.encode(found))

    def write_item(self, text: str) -> None:
        self._file.write(text.encode("utf-8", "backslashreplace"))
        self.item_count += 1

    def read_items(self) -> Iterator[bytes]:
        """All items, in pieces."""
        self._file.seek(0)
        yield from iter(lambda: self._file.read(_COPY_BYTES), b"")

    def close(self) -> None:
        self._file.close()
