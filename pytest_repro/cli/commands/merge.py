"""``pytest-repro merge``: one report and one verdict of many shards."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from contextlib import ExitStack, closing
from glob import glob
from pathlib import Path

from pytest_repro.cli.commands import BadOption, Command, Result
from pytest_repro.cli.merge.ctrf import CtrfReport
from pytest_repro.cli.merge.junit import JUnitReport
from pytest_repro.cli.merge.merge import JsonReport, merge_tests
from pytest_repro.cli.merge.merged_test import Writer
from pytest_repro.cli.merge.page import Page
from pytest_repro.cli.merge.shard_set import ShardSet, read_shards
from pytest_repro.cli.merge.summary import Summary

_DESCRIPTION = """\
Merges the reports of the shards of one run into one report, and gives one verdict on all of them.

A shard that is missing, cut off or unreadable, that is of another run or commit, or that is there twice is
named and fails the merge; the others are merged. A test that several shards ran is compared between them, at
the level and within the tolerance of its marker, and its worst verdict counts. The merged report can be
merged, shown and compared like any other.
"""

_EXAMPLES = """\
examples:
  pytest --repro-shard=3/8 --repro-json=shard-3.json          in each of 8 jobs
  pytest-repro merge shard-*.json --expect-shards=8 -o all.json --html=all.html
  pytest-repro merge shard-*.json --require=2000 --junit=junit.xml --ctrf=ctrf.json
"""


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise ArgumentTypeError(f"{text!r} is not a number up to 999999")
    return int(text)


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "reports", metavar="REPORT.json", nargs="+", help="reports of shards, or patterns of them"
    )
    shards = "fail unless there are the shards 1 to N; by default as many as the reports say"
    parser.add_argument("--expect-shards", type=_count, default=0, metavar="N", help=shards)
    require = "fail if fewer than N tests were compared"
    parser.add_argument("--require", type=_count, default=0, metavar="N", help=require)
    parser.add_argument("-o", "--output", metavar="PATH", help="write the merged JSON report")
    parser.add_argument(
        "--html", metavar="PATH", help="write a page; it lists only tests that did not reproduce"
    )
    parser.add_argument("--junit", metavar="PATH", help="write JUnit XML")
    parser.add_argument("--ctrf", metavar="PATH", help="write JSON in the Common Test Report Format")


def _run(options: Namespace) -> Result:
    outputs = [each for each in (options.output, options.junit, options.ctrf, options.html) if each]
    if len({*outputs}) < len(outputs):
        raise BadOption("two files would be written to one path")
    paths = [path for given in options.reports for path in sorted(glob(given)) or [given]]
    if both := {
        path for path in paths for output in outputs if Path(path).resolve() == Path(output).resolve()
    }:
        raise BadOption(
            f"{both.pop()} would be read and written: give the merged report another name or folder"
        )
    found = read_shards(paths, options.expect_shards)
    if not found.reports:
        raise BadOption(f"no report can be merged: {'; '.join(text for _, text in found.problems)}")
    summary = Summary()
    kinds: list[tuple[str | None, type[Writer]]] = [
        (options.output, JsonReport),
        (options.junit, JUnitReport),
        (options.ctrf, CtrfReport),
        (options.html, Page),
    ]
    with ExitStack() as stack:
        writers = [(path, stack.enter_context(closing(kind()))) for path, kind in kinds if path]
        merge_tests(found, [summary, *(writer for _, writer in writers)])
        for path, writer in writers:
            _save(writer, path, found)
    failed = found.problems or summary.failing_count or summary.format_too_few(options.require)
    return int(bool(failed)), summary.format(found, options.require)


def _save(writer: Writer, path: str, found: ShardSet) -> None:
    try:
        writer.save(Path(path), found)
    except OSError as error:
        raise BadOption(f"{path} cannot be written: {error.strerror or error}") from None


command = Command("merge the reports of shards", _DESCRIPTION, _EXAMPLES, _add_arguments, _run)
