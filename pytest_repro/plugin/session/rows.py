"""What is known of each marked test, as a row that travels with its last report."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pytest

from pytest_repro.adapters import environment
from pytest_repro.core.golden.stored_value import StoredValue
from pytest_repro.core.replay.log_file import encode_log
from pytest_repro.core.text import escape_surrogates
from pytest_repro.engine.replay.replay import WHOLE_RUN
from pytest_repro.plugin import peers
from pytest_repro.plugin.exceptions import format_nodeid
from pytest_repro.plugin.extra_runs.results import describe_omitted_runs, extra_results_to_row
from pytest_repro.plugin.run import replay
from pytest_repro.plugin.run.item_runner import ItemRunner
from pytest_repro.plugin.stash import ENVIRONMENT, ROWS, SETTINGS
from pytest_repro.reports.failure import level
from pytest_repro.reports.failure.text import format_headline
from pytest_repro.reports.json.rows import verdict_to_row
from pytest_repro.reports.session.summary import COMPARED_VERDICTS, FAILING_VERDICTS

_PLUGIN_NAME = "repro-rows"
_REPORT_ATTRIBUTE = "repro"


def attach_row(runner: ItemRunner, report: pytest.TestReport) -> None:
    """Hangs the row of *runner* on a report, and what JUnit is told."""
    if runner.verdict is None:
        return
    row = verdict_to_row(runner.item.nodeid, runner.verdict, _collect_values(runner))
    row |= {
        "key": id(runner.item),
        "failed": runner.failed_by_plugin,
        "location": _format_location(runner.item),
    }
    row |= _seed_check_to_row(runner) | extra_results_to_row(runner.extra_results)
    if runner.verdict.outcome != "skipped":
        row["unmade_note"] = describe_omitted_runs(
            runner.plan, runner.item.config.stash[SETTINGS], runner.extra_results
        )
        row["level_note"] = level.describe_uncompared_values(runner.verdict)
    if runner.xfailed:
        row["expected"] = True
    runner.replay.keep_logs()
    if runner.item.config.stash[SETTINGS].replay == replay.RECORD_MODE and not runner.plan.ranks:
        row["replay"] = encode_log(runner.replay.logs[WHOLE_RUN])
    if runner.verdict.outcome in FAILING_VERDICTS:
        row["headline"] = format_headline(runner.verdict)
    if runner.trial.with_plots and runner.verdict.outcome not in (None, "reproduced"):
        from pytest_repro.reports.html.page_data import make_page_data as drawn

        row["page"] = drawn(format_nodeid(runner.item), runner.verdict)
    setattr(report, _REPORT_ATTRIBUTE, escape_surrogates(row))
    if runner.verdict.outcome is not None:
        report.user_properties.append(("repro_verdict", runner.verdict.outcome))
    report.user_properties.append(("repro_seed", runner.plan.seed))
    if runner.verdict.cause is not None:
        report.user_properties.append(("repro_cause", runner.verdict.cause.name))
    if runner.extra_results.sweep is not None:
        report.user_properties.append(
            ("repro_sweep", "broken" if runner.extra_results.sweep.failed else "kept")
        )


def _seed_check_to_row(runner: ItemRunner) -> dict[str, str]:
    """What the row says of a control run."""
    if runner.seed_check is None or runner.verdict is None:
        return {}
    found = {"control_note": runner.seed_check_note}
    return found | (
        {"control": runner.seed_check.outcome} if runner.verdict.outcome in COMPARED_VERDICTS else {}
    )


def _collect_values(runner: ItemRunner) -> Iterable[StoredValue]:
    """What a report tells of the values of a test that is compared with other machines."""
    assert runner.verdict is not None
    asked = runner.item.config.stash[SETTINGS].json is not None
    return (
        runner.trial.iter_stored_values()
        if asked and runner.verdict.outcome not in ("failed", "skipped")
        else ()
    )


def _format_location(item: pytest.Item) -> str:
    """Where a test stands, relative to rootdir: ``tests/test_a.py:19``."""
    path, line, _ = item.location
    return f"{path.replace(os.sep, '/')}:{(line or 0) + 1}"


class _RowCollector:
    """Collects the rows that come with the reports, here or from workers."""

    def __init__(self, rows: dict[str, dict[str, Any]]) -> None:
        self._rows = rows

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test that is run again by others replaces its row."""
        row = getattr(report, _REPORT_ATTRIBUTE, None)
        if row is not None:
            node = getattr(report, "node", None)
            worker = getattr(getattr(node, "gateway", None), "id", "")
            self._rows[f"{worker} {row['key']}"] = row
            peers.extend_report(report, row)


def collect_rows(config: pytest.Config) -> None:
    """Begins to collect rows; a worker of xdist leaves that to its controller."""
    if hasattr(config, "workerinput") or config.pluginmanager.has_plugin(_PLUGIN_NAME):
        return
    config.stash[ROWS] = {}
    config.pluginmanager.register(_RowCollector(config.stash[ROWS]), _PLUGIN_NAME)
    if config.stash[SETTINGS].update:
        from pytest_repro.plugin.session.baseline_writer import register_writer as listen_for_golden

        listen_for_golden(config)


def get_rows(config: pytest.Config) -> list[dict[str, Any]]:
    """The rows collected so far, in the order in which the tests ended; under xdist by node id."""
    rows = list(config.stash.get(ROWS, {}).values())
    if config.pluginmanager.has_plugin("dsession"):  # workers report in any order
        rows.sort(key=lambda row: str(row["nodeid"]))
    return rows


def get_environment(config: pytest.Config) -> dict[str, str]:
    """What could change a result; under xdist where the tests ran: the controller imports no library."""
    workers = config.stash.setdefault(ENVIRONMENT, {})
    return {**environment(), **workers}


def should_plot(config: pytest.Config) -> bool:
    """Whether a report draws what differs: ours, or another plugin's."""
    return config.stash[SETTINGS].html is not None or peers.can_show_plots(config)
