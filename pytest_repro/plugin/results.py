"""What a session tells: sections and properties of a test, the summary, the reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from pytest_repro.adapters import environment
from pytest_repro.core.log_file import plain
from pytest_repro.engine.replay import WHOLE
from pytest_repro.plugin import GOLDEN, ROWS, SETTINGS, gate, golden_asked, peers, replays
from pytest_repro.plugin.act import Act
from pytest_repro.plugin.diverged import CompanionLost, Diverged, called, diverged
from pytest_repro.plugin.inside import plain_repr
from pytest_repro.reports import runs
from pytest_repro.reports.control import before_the_last
from pytest_repro.reports.json import content, row_of, write
from pytest_repro.reports.summary import BAD, COMPARED, absent, beyond, controls, counted, failing
from pytest_repro.reports.text import beside, headline

_NAME = "repro-results"
_ATTRIBUTE = "repro"


def explain(act: Act, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Hangs on a report of the last run what follows from all of them.

    The row of the JSON report travels with the tear-down's report: through xdist, and past the
    crash of a worker that had finished the test.
    """
    if report.when == "teardown":
        _add_teardown_error(act, report)
        if act.plan.baseline:
            from pytest_repro.plugin.golden import send

            send(act.item, report)
        _send(act, report)
        return
    if not report.passed and not act.ran:
        act.never_ran(report)
    _tell_beyond(act, call, report)
    if call.excinfo is not None and isinstance(call.excinfo.value, CompanionLost):
        _fail(report, str(call.excinfo.value))
    elif call.excinfo is not None and isinstance(call.excinfo.value, Diverged):
        act.expected = hasattr(report, "wasxfail")
        report.longrepr = _repr(act.item, call.excinfo.value)
        if act.control is not None:
            report.sections.append(("control", before_the_last(act.control)))
    elif _differs(act) and report.failed:
        assert act.verdict is not None
        report.sections.append(("reproducibility", beside(act.verdict)))
    elif _differs(act) and report.skipped and not hasattr(report, "wasxfail"):
        # A skip in the last run must not hide that another run did something else.
        assert act.verdict is not None
        _fail(report, _repr(act.item, diverged(act.item, act.verdict)))


def _tell_beyond(act: Act, call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Hangs on a report where the test asked for what is not in its log, if its text does not say so."""
    said = call.excinfo is not None and isinstance(call.excinfo.value, Diverged)
    if act.verdict is not None and not said and (told := "\n".join(runs.beyond(act.verdict))):
        report.sections.append(("replay", told))


def _fail(report: pytest.TestReport, told: Any) -> None:
    """Fails what was skipped or expected to fail: nobody expects this."""
    report.outcome, report.longrepr = "failed", told
    vars(report).pop("wasxfail", None)


def _differs(act: Act) -> bool:
    verdict = act.verdict
    if verdict is None or all(run.outcome == "passed" for run in verdict.runs if run.state == "ran"):
        return False
    return verdict.word in ("failed", "diverged")


def _repr(item: pytest.Item, error: Diverged) -> Any:
    """The failure by its text alone, at the line of the test."""
    path, line, _ = item.reportinfo()
    return plain_repr(str(error), str(path), (line or 0) + 1, f"NotReproducible: {headline(error.verdict)}")


def _add_teardown_error(act: Act, report: pytest.TestReport) -> None:
    """A tear-down that failed in a rehearsal only must not be lost."""
    if report.passed and act.teardown_error:
        report.outcome = "failed"
        report.longrepr = act.teardown_error


def _send(act: Act, report: pytest.TestReport) -> None:
    if act.verdict is None:
        return
    row = row_of(act.item.nodeid, act.verdict)
    row["key"], row["expected"] = id(act.item), act.expected
    row |= _controlled(act)
    act.replay.counts()
    if act.item.config.stash[SETTINGS].replay == replays.RECORD:
        row["replay"] = plain(act.replay.logs[WHOLE])
    if act.verdict.word in BAD:
        row["headline"] = headline(act.verdict)
    if act.trial.pictured and act.verdict.word not in (None, "reproduced"):
        from pytest_repro.reports.html.told import plain as told

        row["page"] = told(called(act.item), act.verdict)
    setattr(report, _ATTRIBUTE, row)
    report.user_properties += [("repro_verdict", act.verdict.word), ("repro_seed", act.plan.seed)]
    if act.verdict.finding is not None:
        report.user_properties.append(("repro_cause", act.verdict.finding.name))


def _controlled(act: Act) -> dict[str, str]:
    """What the row says of a control run."""
    if act.control is None or act.verdict is None:
        return {}
    found = {"control_note": act.control_note}
    return found | ({"control": act.control.word} if act.verdict.word in COMPARED else {})


class _Rows:
    """Collects the rows that come with the reports, here or from workers."""

    def __init__(self, rows: dict[str, dict[str, Any]]) -> None:
        self._rows = rows

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test that is run again by others replaces its row."""
        row = getattr(report, _ATTRIBUTE, None)
        if row is not None:
            node = getattr(report, "node", None)
            worker = getattr(getattr(node, "gateway", None), "id", "")
            self._rows[f"{worker} {row['key']}"] = row
            peers.reported(report, row)


def listen(config: pytest.Config) -> None:
    """Begins to collect rows; a worker of xdist leaves that to its controller."""
    if hasattr(config, "workerinput") or config.pluginmanager.has_plugin(_NAME):
        return
    config.stash[ROWS] = {}
    config.pluginmanager.register(_Rows(config.stash[ROWS]), _NAME)
    if config.stash[SETTINGS].update:
        from pytest_repro.plugin.golden_writer import listen as listen_for_golden

        listen_for_golden(config)


def rows_of(config: pytest.Config) -> list[dict[str, Any]]:
    """What is known of each marked test of the session, in order."""
    rows = list(config.stash.get(ROWS, {}).values())
    if config.pluginmanager.has_plugin("dsession"):  # workers report in any order
        rows.sort(key=lambda row: str(row["nodeid"]))
    return rows


def write_all(session: pytest.Session) -> None:
    """Writes the reports, the log and the golden files; one that cannot be written fails the session."""
    config, rows = session.config, rows_of(session.config)
    settings = config.stash[SETTINGS]
    if settings.json is not None:
        _write(session, f"--repro-json={settings.json}", lambda: _write_report(config, rows))
    if settings.html is not None:
        _write(session, f"--repro-html={settings.html}", lambda: _write_page(config, rows))
    if settings.replay == replays.RECORD:
        _write(session, f"--repro-replay={replays.RECORD}", lambda: replays.write_log(config, rows))
    if golden_asked(config):
        from pytest_repro.plugin.golden_writer import write as write_golden

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
    private = ("key", "expected", "headline", "replay", "control_note", "page")
    public = [{k: v for k, v in row.items() if k not in private} for row in rows if "verdict" in row]
    path = config.invocation_params.dir / str(settings.json)
    write(path, content(public, settings.plan.seed, environment()))


def _write_page(config: pytest.Config, rows: Sequence[Mapping[str, Any]]) -> None:
    from pytest_repro.reports.html.page import page, write

    settings = config.stash[SETTINGS]
    told = page(rows, settings.plan.seed, environment(), config.rootpath.name)
    write(config.invocation_params.dir / str(settings.html), told)


def pictured(config: pytest.Config) -> bool:
    """Whether a report draws what differs: ours, or another plugin's."""
    return config.stash[SETTINGS].html is not None or peers.draws(config)


def complain(config: pytest.Config, message: str) -> None:
    """Says what went wrong with the session, past its summary."""
    terminal: Any = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None:
        terminal.line("")
        terminal.write_line(f"ERROR: {message}", red=True)


def tell(terminal: Any, config: pytest.Config) -> None:
    """The section of the session: counts by verdict, and a line for each test that failed it."""
    rows = rows_of(config)
    bad, too_few = list(failing(rows)), gate.told(config)
    settings = config.stash[SETTINGS]
    golden = config.stash.get(GOLDEN, [])
    heard = bad or too_few or settings.seed_drawn or settings.replay
    if not (rows or too_few or golden) or (config.get_verbosity() < 0 and not heard):
        return
    terminal.section("reproducibility", sep="=")
    drawn = f", --repro-seed={settings.plan.seed} was drawn" if settings.seed_drawn else ""
    if rows or too_few:
        terminal.line(f"{counted(rows)}{drawn}")
    for line in [*absent(rows), *replays.told(config), *golden, *beyond(rows), *controls(rows), *bad]:
        terminal.line(line)
    if too_few:
        terminal.line(too_few, red=True)
