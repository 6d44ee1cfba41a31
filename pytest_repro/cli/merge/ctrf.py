"""Merged shards in the Common Test Report Format, https://ctrf.io: JSON that dashboards read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from pytest_repro import __version__
from pytest_repro.cli.merge.merge import merge_environments
from pytest_repro.cli.merge.merged_test import MergedTest, Writer
from pytest_repro.cli.merge.shard_set import ShardSet, measure_span
from pytest_repro.core.text import parse_time

_STATUSES = ("passed", "failed", "skipped", "pending", "other")
_SPEC_VERSION = "1.0.0"


class CtrfReport(Writer):
    """Writes such a file."""

    def __init__(self) -> None:
        super().__init__()
        self._counts: Counter[str] = Counter()

    def __call__(self, test: MergedTest) -> None:
        status = _get_status(test)
        self._counts[status] += 1
        row = test.row
        extra = {name: row[name] for name in ("shard", "shards") if name in row}
        causes = [cause["name"] for cause in row.get("causes", ())]
        content: dict[str, Any] = {
            "name": test.nodeid,
            "status": status,
            "duration": round(1000 * row.get("seconds", 0.0)),
            "rawStatus": str(row.get("verdict", "ran once")),
            "filePath": test.nodeid.partition("::")[0],
        }
        if status != "passed":
            texts = {"message": test.headline, "trace": test.failure_text if test.fails else ""}
            content |= {name: text for name, text in texts.items() if text}
        if extra or causes:
            content["extra"] = extra | ({"causes": causes} if causes else {})
        self.write_item(f"{',' if self.item_count else ''}\n{json.dumps(content)}")

    def encode(self, found: ShardSet) -> Iterator[str | bytes]:
        parts, now = found.parts, datetime.now(timezone.utc)
        started, duration = measure_span(parts)
        milliseconds = round(1000 * (parse_time(started) or now).timestamp())
        counts = {status: self._counts[status] for status in _STATUSES}
        counts["failed"] += len(found.problems)
        environment = {"buildId": parts[0].run, "commit": parts[0].commit}
        results = {
            "tool": {"name": "pytest-repro", "version": __version__},
            "summary": {
                "tests": self.item_count + len(found.problems),
                **counts,
                "start": milliseconds,
                "stop": milliseconds + round(1000 * duration),
            },
            "environment": {
                **{name: value for name, value in environment.items() if value},
                "extra": merge_environments(parts),
            },
            "extra": {"shards": len(parts)},
        }
        head = {
            "reportFormat": "CTRF",
            "specVersion": _SPEC_VERSION,
            **({"runId": parts[0].run} if parts[0].run else {}),
            "timestamp": now.isoformat(timespec="seconds"),
            "generatedBy": f"pytest-repro {__version__}",
            "results": {**results, "tests": []},
        }
        yield json.dumps(head, allow_nan=False).removesuffix("]}}")
        yield from self.read_items()
        for number, (word, text) in enumerate(found.problems):
            case = {
                "name": f"pytest-repro merge: {word} shard",
                "status": "failed",
                "duration": 0,
                "message": text,
            }
            yield f"{',' if self.item_count or number else ''}\n{json.dumps(case)}"
        yield "\n]}}\n"


def _get_status(test: MergedTest) -> str:
    if test.fails:
        return "failed"
    word = test.row.get("verdict")
    if test.row.get("expected"):
        return "other"
    return {"reproduced": "passed", "skipped": "skipped"}.get(str(word), "other")
