"""What is known of each marked test, as a row that travels with its last report."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pytest

from pytest_repro.adapters import environment
from pytest_repro.core.golden.value_summary import Account
from pytest_repro.core.replay.log_file import plain
from pytest_repro.core.text import encodable
from pytest_repro.engine.replay.replay import WHOLE
from pytest_repro.plugin import ENVIRONMENT, ROWS, SETTINGS, peers
from pytest_repro.plugin.exceptions import called
from pytest_repro.plugin.extra_runs.results import told, unmade
from pytest_repro.plugin.run import replay
from pytest_repro.plugin.run.item_runner import Act
from pytest_repro.reports.failure import level
from pytest_repro.reports.failure.text import headline
from pytest_repro.reports.json.write import row_of
from pytest_repro.reports.session.summary import BAD, COMPARED

_NAME = "repro-rows"
_ATTRIBUTE = "repro"


def send(act: Act, report: pytest.TestReport) -> None:
    """Hangs the row of *act* on a report, and what JUnit is told."""
    if act.verdict is None:
        return
    row = row_of(act.item.nodeid, act.verdict, _observed(act))
    row |= {"key": id(act.item), "failed": act.failed, "location": _stands(act.item)}
    row |= _controlled(act) | told(act.beside)
    if act.verdict.word != "skipped":
        row["unmade_note"] = unmade(act.plan, act.item.config.stash[SETTINGS], act.beside)
        row["level_note"] = level.note(act.verdict)
    if act.expected:
        row["expected"] = True
    act.replay.counts()
    if act.item.config.stash[SETTINGS].replay == replay.RECORD and not act.plan.ranks:
        row["replay"] = plain(act.replay.logs[WHOLE])
    if act.verdict.word in BAD:
        row["headline"] = headline(act.verdict)
    if act.trial.pictured and act.verdict.word not in (None, "reproduced"):
        from pytest_repro.reports.html.page_data import plain as drawn

        row["page"] = drawn(called(act.item), act.verdict)
    setattr(report, _ATTRIBUTE, encodable(row))
    if act.verdict.word is not None:
        report.user_properties.append(("repro_verdict", act.verdict.word))
    report.user_properties.append(("repro_seed", act.plan.seed))
    if act.verdict.finding is not None:
        report.user_properties.append(("repro_cause", act.verdict.finding.name))
    if act.beside.swept is not None:
        report.user_properties.append(("repro_sweep", "broken" if act.beside.swept.broken else "kept"))


def _controlled(act: Act) -> dict[str, str]:
    """What the row says of a control run."""
    if act.control is None or act.verdict is None:
        return {}
    found = {"control_note": act.control_note}
    return found | ({"control": act.control.word} if act.verdict.word in COMPARED else {})


def _observed(act: Act) -> Iterable[Account]:
    """What a report tells of the values of a test that is compared with other machines."""
    assert act.verdict is not None
    asked = act.item.config.stash[SETTINGS].json is not None
    return act.trial.accounts() if asked and act.verdict.word not in ("failed", "skipped") else ()


def _stands(item: pytest.Item) -> str:
    """Where a test stands, relative to rootdir: ``tests/test_a.py:19``."""
    path, line, _ = item.location
    return f"{path.replace(os.sep, '/')}:{(line or 0) + 1}"


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
        from pytest_repro.plugin.session.baseline_writer import listen as listen_for_golden

        listen_for_golden(config)


def rows_of(config: pytest.Config) -> list[dict[str, Any]]:
    """The rows collected so far, in the order in which the tests ended; under xdist by node id."""
    rows = list(config.stash.get(ROWS, {}).values())
    if config.pluginmanager.has_plugin("dsession"):  # workers report in any order
        rows.sort(key=lambda row: str(row["nodeid"]))
    return rows


def environment_of(config: pytest.Config) -> dict[str, str]:
    """What could change a result; under xdist where the tests ran: the controller imports no library."""
    workers = config.stash.setdefault(ENVIRONMENT, {})
    return {**environment(), **workers}


def pictured(config: pytest.Config) -> bool:
    """Whether a report draws what differs: ours, or another plugin's."""
    return config.stash[SETTINGS].html is not None or peers.draws(config)
