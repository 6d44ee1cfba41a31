"""The end of a session: its reports, its golden files, its section in the terminal."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from time import time
from typing import Any

import pytest

from pytest_repro.core.files import replace_file
from pytest_repro.plugin.extra_runs import ExtraRun, list_extra_runs
from pytest_repro.plugin.pytest_internals import print_session_error
from pytest_repro.plugin.run import replay
from pytest_repro.plugin.session import require
from pytest_repro.plugin.session.rows import get_environment, get_rows
from pytest_repro.plugin.stash import GOLDEN_LINES, SETTINGS, STALE_TESTS, STARTED
from pytest_repro.reports.json.report import ReportHead, build_report, write_report
from pytest_repro.reports.json.report_head import find_commit, find_run_id, find_shard
from pytest_repro.reports.summary import (
    format_counts,
    format_diagnosis_lines,
    format_failing_lines,
    format_foreign_lines,
    format_not_compared_lines,
    format_notes,
    format_past_log_lines,
    format_skipped_extra_run_lines,
    format_unavailable_lines,
)


def write_all(session: pytest.Session) -> None:
    """Writes the reports, the log and the golden files; an error fails the session."""
    config, rows = session.config, get_rows(session.config)
    settings = config.stash[SETTINGS]
    if settings.json is not None:
        _write_or_fail(session, f"--repro-json={settings.json}", lambda: _write_report(config, rows))
    if settings.html is not None:
        _write_or_fail(session, f"--repro-html={settings.html}", lambda: _write_page(config, rows))
    if settings.replay == replay.RECORD_MODE:
        _write_or_fail(
            session, f"--repro-replay={replay.RECORD_MODE}", lambda: replay.write_log(config, rows)
        )
    if settings.update or config.stash.get(STALE_TESTS, None):
        from pytest_repro.plugin.session.baseline_writer import write_golden_files as write_golden

        write_golden(config, lambda message: _fail_session(session, message))


def _write_or_fail(session: pytest.Session, option: str, write_file: Callable[[], None]) -> None:
    try:
        write_file()
    except OSError as error:
        _fail_session(session, f"{option}: cannot be written: {error}")


def _fail_session(session: pytest.Session, reason: str) -> None:
    session.exitstatus = session.exitstatus or pytest.ExitCode.INTERNAL_ERROR
    print_session_error(session.config, reason)


def _write_report(config: pytest.Config, rows: Sequence[Mapping[str, Any]]) -> None:
    settings = config.stash[SETTINGS]
    private = ("key", "drew_unseeded", "failed", "headline", "replay", "page", *_list_note_keys())
    with_results = (row for row in rows if any(key in row for key in ("verdict", "sweep", "noise", "cost")))
    public = [{k: v for k, v in row.items() if k not in private} for row in with_results]
    path = config.invocation_params.dir / str(settings.json)
    write_report(path, build_report(public, settings.seed, get_environment(config), _build_head(config)))


def _build_head(config: pytest.Config) -> ReportHead:
    started, splits, group = config.stash[STARTED], *map(config.getoption, ("splits", "group"), (None, None))
    by_pytest_split = f"{group}/{splits}" if splits and group else ""
    shard = config.stash[SETTINGS].shard or by_pytest_split or find_shard(os.environ)
    shown = datetime.fromtimestamp(started, timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
    commit, duration = find_commit(config.rootpath, os.environ), round(time() - started, 3)
    return ReportHead(find_run_id(os.environ), shard, commit, shown, duration)


def _list_note_keys() -> list[str]:
    """Keys of a row that are for the terminal only."""
    return ["unmade_note", "level_note", *(kind.note_key for kind in list_extra_runs())]


def _write_page(config: pytest.Config, rows: Sequence[Mapping[str, Any]]) -> None:
    from pytest_repro.reports.html.page import render_page

    settings = config.stash[SETTINGS]
    page = render_page(rows, settings.seed, get_environment(config), config.rootpath.name)
    replace_file(config.invocation_params.dir / str(settings.html), [page])


def _has_notes(kind: ExtraRun, rows: Sequence[Mapping[str, Any]]) -> bool:
    return any(kind.note_key in row for row in rows) or not kind.note_key


def write_terminal_summary(terminal: Any, config: pytest.Config) -> None:
    """The section of the session: counts by verdict, and a line for each test that failed it."""
    rows = get_rows(config)
    too_few = require.take_failure_text(config)
    bad = list(format_failing_lines(rows, is_verbose=config.get_verbosity() > 0))
    settings = config.stash[SETTINGS]
    golden = config.stash.get(GOLDEN_LINES, [])
    is_reported = bad or too_few or settings.is_seed_random or settings.replay or settings.cost
    is_reported = is_reported or any(row.get(note) for row in rows for note in _list_note_keys())
    least = config.get_verbosity() if is_reported else -1
    if not (rows or too_few or golden) or config.get_verbosity() < least:
        return
    terminal.section("reproducibility", sep="=")
    drawn = f", --repro-seed={settings.seed} was drawn" if settings.is_seed_random else ""
    if rows or too_few:
        terminal.line(f"{format_counts(rows)}{drawn}")
    lines = [
        *format_unavailable_lines(rows),
        *replay.get_summary_lines(config),
        *golden,
        *format_foreign_lines(rows),
        *format_past_log_lines(rows),
        *(line for kind in list_extra_runs() if _has_notes(kind, rows) for line in kind.format_lines(rows)),
        *format_notes(rows, "level_note", "level"),
        *format_not_compared_lines(rows, config.get_verbosity() > 0),
        *format_skipped_extra_run_lines(rows),
        *format_diagnosis_lines(rows),
    ]
    for line in [*lines, *bad]:
        terminal.line(line)
    if too_few:
        terminal.line(too_few, red=True)
