"""The HTML page of merged shards: tests that did not reproduce are listed, the others counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from pytest_repro.cli.merge.merge import merge_environments
from pytest_repro.cli.merge.merged_test import MergedTest, Writer
from pytest_repro.cli.merge.shard_set import ShardSet
from pytest_repro.reports.html.labels import RAN_ONCE

_MAX_TESTS = 500  # most tests on the page; each takes about 10 kB
_MAX_REPRODUCED = 1_000  # most tests that reproduced, if all tests together are few


class Page(Writer):
    """Writes the page."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[dict[str, Any]] = []
        self._reproduced: list[dict[str, Any]] = []
        self._others: Counter[str] = Counter()
        self._seconds = 0.0

    def __call__(self, test: MergedTest) -> None:
        """Adds *test*: those that failed before those that were skipped."""
        word = str(test.row.get("verdict", RAN_ONCE))
        self._seconds += float(test.row.get("seconds", 0.0))
        if test.verdict is None or not (test.fails or test.row.get("expected")):
            self._others[word] += 1
            if len(self._reproduced) <= _MAX_REPRODUCED:
                self._reproduced.append(_shorten(test))
        elif len(self._rows) < _MAX_TESTS:
            from pytest_repro.reports.html.page_data import make_page_data

            self._rows.append(_shorten(test) | {"page": make_page_data(test.nodeid, test.verdict)})
        else:
            self._others[word] += 1

    def encode(self, found: ShardSet) -> Iterator[str]:
        from pytest_repro.reports.html.page import render_page

        rows, others = self._rows, self._others
        if len(self._reproduced) == sum(others.values()) and len(self._reproduced) <= _MAX_REPRODUCED:
            rows, others = [*rows, *self._reproduced], Counter()
        problems = [f"{word}: {text}" for word, text in found.problems]
        title = f"{len(found.parts):,} shards"
        environment = merge_environments(found.parts)
        more: dict[str, Any] = {"others": others, "problems": problems, "seconds": self._seconds}
        yield render_page(rows, found.parts[0].seed, environment, title, **more)


def _shorten(test: MergedTest) -> dict[str, Any]:
    """A row without the values, which the page does not show."""
    return {name: value for name, value in test.row.items() if name != "observations"}
