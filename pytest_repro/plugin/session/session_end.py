"""The end of a session: its reports, its golden files, its section in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from pytest_repro.plugin import GOLDEN, SETTINGS, golden_asked
from pytest_repro.plugin.extra_runs.results import NOTES
from pytest_repro.plugin.run import replay
from pytest_repro.plugin.session import require
from pytest_repro.plugin.session.rows import environment_of, rows_of
from pytest_repro.reports.failure.level import levels
from pytest_repro.reports.json.write import content, write
from pytest_repro.reports.session.cost import costs
from pytest_repro.reports.session.noise import noisy
from pytest_repro.reports.session.summary import absent, beyond, controls, counted, failing, not_made
from pytest_repro.reports.session.sweep import sweeps


def write_all(session: pytest.Session) -> None:
    """Writes the reports, the log and the golden files; one that cannot be written fails the session."""
    config, rows = session.config, rows_of(session.config)
    settings = config.stash[SETTINGS]
    if settings.json is not None:
        _write(session, f"--repro-json={settings.json}", lambda: _write_report(config, rows))
    if settings.html is not None:
        _write(session, f"--repro-html={settings.html}", lambda: _write_page(config, rows))
    if settings.replay == replay.RECORD:
        _write(session, f"--repro-replay={replay.RECORD}", lambda: replay.write_log(config, rows))
    if golden_asked(config):
        from pytest_repro.plugin.session.baseline_writer import write as write_golden

        write_golden(config, lambda message: _fail_session(session, message))


def _write(session: pytest.Session, option: str, written: Callable[[], None]) -> None:
    try:
        written()
    except OSError as error:
        _fail_session(session, f"{option}: cannot be written: {error}")


def _fail_session(session: pytest.Session, why: str) -> None:
    session.exitstatus = session.exitstatus or pytest.ExitCode.INTERNAL_ERROR
    complain(session.config, why)


def _write_report(config: pytest.Config, rows: Sequence[Mapping[str, Any]]) -> None:
    settings = config.stash[SETTINGS]
    private = ("key", "failed", "headline", "replay", "control_note", "page", *NOTES)
    told = (row for row in rows if any(key in row for key in ("verdict", "sweep", "noise", "cost")))
    public = [{k: v for k, v in row.items() if k not in private} for row in told]
    path = config.invocation_params.dir / str(settings.json)
    write(path, content(public, settings.plan.seed, environment_of(config)))


def _write_page(config: pytest.Config, rows: Sequence[Mapping[str, Any]]) -> None:
    from pytest_repro.reports.html.page import page, write

    settings = config.stash[SETTINGS]
    told = page(rows, settings.plan.seed, environment_of(config), config.rootpath.name)
    write(config.invocation_params.dir / str(settings.html), told)


def complain(config: pytest.Config, message: str) -> None:
    """Says what went wrong with the session, past its summary."""
    terminal: Any = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None:
        terminal.line("")
        terminal.write_line(f"ERROR: {message}", red=True)


def tell(terminal: Any, config: pytest.Config) -> None:
    """The section of the session: counts by verdict, and a line for each test that failed it."""
    rows = rows_of(config)
    bad, too_few = list(failing(rows)), require.told(config)
    settings = config.stash[SETTINGS]
    golden = config.stash.get(GOLDEN, [])
    heard = bad or too_few or settings.seed_drawn or settings.replay or settings.cost
    heard = heard or any(row.get(note) for row in rows for note in NOTES)
    least = config.get_verbosity() if heard else -1
    if not (rows or too_few or golden) or config.get_verbosity() < least:
        return
    terminal.section("reproducibility", sep="=")
    drawn = f", --repro-seed={settings.plan.seed} was drawn" if settings.seed_drawn else ""
    if rows or too_few:
        terminal.line(f"{counted(rows)}{drawn}")
    told = [*absent(rows), *replay.told(config), *golden, *beyond(rows), *controls(rows), *costs(rows)]
    told += [*sweeps(rows), *noisy(rows), *levels(rows), *not_made(rows)]
    for line in [*told, *bad]:
        terminal.line(line)
    if too_few:
        terminal.line(too_few, red=True)
