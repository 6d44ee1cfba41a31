"""Merged shards as JUnit XML, which CI systems show.

The elements and attributes are those that two schemas allow: that of Ant's JUnit task
(github.com/windyroad/JUnit-Schema) and that of Jenkins (junit-10.xsd of its xUnit plugin).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from xml.sax.saxutils import escape, quoteattr

from pytest_repro.cli.merge.merge import merge_environments
from pytest_repro.cli.merge.merged_test import MergedTest, Writer
from pytest_repro.cli.merge.shard_set import ShardSet, measure_span
from pytest_repro.reports.html.templates import escape_not_xml


class JUnitReport(Writer):
    """Writes such a file."""

    def __init__(self) -> None:
        super().__init__()
        self._failures = self._skipped = 0
        self._seconds = 0.0

    def __call__(self, test: MergedTest) -> None:
        seconds = float(test.row.get("seconds", 0.0))
        self._seconds += seconds
        file, _, rest = test.nodeid.partition("::")
        *classes, name = _split(rest) if rest else [file]
        module = file.removesuffix(".py").replace("/", ".")
        attributes = _format_attributes(
            classname=".".join([module, *classes]), name=name, time=f"{seconds:.3f}"
        )
        content = self._describe(test)
        self.write_item(
            f"<testcase{attributes}>{content}</testcase>\n" if content else f"<testcase{attributes}/>\n"
        )

    def _describe(self, test: MergedTest) -> str:
        word, message = str(test.row.get("verdict", "")), test.headline
        if test.fails:
            self._failures += 1
            text = escape(escape_not_xml(test.failure_text))
            return f"<failure{_format_attributes(message=message, type=word)}>{text}</failure>"
        if word == "skipped" or test.row.get("expected"):
            self._skipped += 1
            kind = "xfail" if test.row.get("expected") else "skip"
            return f"<skipped{_format_attributes(message=message, type=kind)}/>"
        return ""

    def encode(self, found: ShardSet) -> Iterator[str | bytes]:
        parts = found.parts
        started = measure_span(parts)[0] or datetime.now(timezone.utc).isoformat(timespec="seconds")
        attributes = _format_attributes(
            id="0", package="pytest-repro", name="pytest-repro", timestamp=started[:19], hostname="localhost",
            tests=str(self.item_count + len(found.problems)), failures=str(self._failures),
            errors=str(len(found.problems)), skipped=str(self._skipped), time=f"{self._seconds:.3f}",
        )  # fmt: skip
        yield f'<?xml version="1.0" encoding="utf-8"?>\n<testsuites>\n<testsuite{attributes}>\n<properties>\n'
        head = {"run_id": parts[0].run, "commit": parts[0].commit, "shards": str(len(parts))}
        for name, value in {**head, **merge_environments(parts)}.items():
            if value:
                yield f"<property{_format_attributes(name=name, value=value)}/>\n"
        yield "</properties>\n"
        yield from self.read_items()
        for word, text in found.problems:
            case = _format_attributes(classname="pytest-repro merge", name=f"{word} shard: {text}", time="0")
            yield f"<testcase{case}><error{_format_attributes(message=text, type=word)}/></testcase>\n"
        yield "<system-out></system-out>\n<system-err></system-err>\n</testsuite>\n</testsuites>\n"


def _split(rest: str) -> list[str]:
    """Classes and name; what follows ``[`` may contain ``::``."""
    names, bracket, parameters = rest.partition("[")
    *classes, name = names.split("::")
    return [*classes, f"{name}{bracket}{parameters}"]


def _format_attributes(**attributes: str) -> str:
    return "".join(f" {name}={quoteattr(escape_not_xml(value))}" for name, value in attributes.items())
