"""Rows of the JSON report, which travel with the last report of a test."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_repro.adapters import environment
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.machine import read_variables
from pytest_repro.core.text import escape_surrogates
from pytest_repro.engine.replay import WHOLE_RUN
from pytest_repro.plugin import peers
from pytest_repro.plugin.extra_runs import describe_omitted, list_extra_runs
from pytest_repro.plugin.extra_runs.unseeded import make_unseeded_row
from pytest_repro.plugin.replay_line import format_nodeid
from pytest_repro.plugin.run import replay
from pytest_repro.plugin.run.item_runner import ItemRunner
from pytest_repro.plugin.stash import ENVIRONMENT, GITHUB, REPORT_ATTRIBUTE, ROWS, SETTINGS
from pytest_repro.reports.summary import FAILING_VERDICTS

if TYPE_CHECKING:
    from pytest_repro.core.compare.stored_value import StoredValue

_PLUGIN_NAME = "repro-rows"


def attach_row(
    runner: ItemRunner,
    report: pytest.TestReport,
    is_xfailed: bool,
    has_failed: bool,
    failure: str = "",
    headline: str = "",
) -> None:
    """Attaches the test's row of the JSON report to *report*, and the properties for JUnit.

    Args:
        runner: Of the test.
        report: Of its tear-down.
        is_xfailed: Whether its failure was expected.
        has_failed: Whether it failed because it is not reproducible.
        failure: Why pytest reports it as failed; ``""`` if it does not.
        headline: Of the failure, if it is known.
    """
    verdict, settings = runner.verdict, runner.item.config.stash[SETTINGS]
    if verdict is None:
        return
    row = _make_row(runner, verdict)
    row |= {"key": id(runner.item), "failed": has_failed, "location": _format_location(runner.item)}
    row |= _make_extra_row(runner) | make_unseeded_row(runner)
    if is_xfailed:
        row["expected"] = True
    if failure and verdict.outcome not in ("failed", *FAILING_VERDICTS):
        row["failure"] = failure
    if verdict.outcome != "skipped":
        results = runner.extra_results
        was_asked = bool(results.requests or results.budgets)
        row["unmade_note"] = describe_omitted(runner, settings) if was_asked else ""
        if verdict.plan.level is not None:
            from pytest_repro.reports.failure.text import describe_uncompared_values

            row["level_note"] = describe_uncompared_values(verdict)
    if settings.replay == replay.RECORD_MODE and not verdict.plan.ranks:
        from pytest_repro.core.replay import encode_log

        runner.replay.keep_logs()
        row["replay"] = encode_log(runner.replay.logs[WHOLE_RUN])
    _add_failure(row, runner.item, verdict, runner.trial.with_plots, headline)
    setattr(report, REPORT_ATTRIBUTE, escape_surrogates(row))
    report.user_properties += _make_properties(runner, verdict)


def make_failing_row(item: pytest.Item, verdict: Verdict) -> dict[str, Any]:
    """The row of a test that is not marked, and fails."""
    from pytest_repro.reports.json.rows import verdict_to_row

    row = verdict_to_row(item.nodeid, verdict)
    row |= {"key": id(item), "failed": True, "location": _format_location(item)}
    _add_failure(row, item, verdict, should_plot(item.config))
    return dict(escape_surrogates(row))


def _add_failure(
    row: dict[str, Any], item: pytest.Item, verdict: Verdict, with_plots: bool, headline: str = ""
) -> None:
    if verdict.outcome in FAILING_VERDICTS:
        from pytest_repro.reports.failure.text import format_headline

        row["headline"] = headline or format_headline(verdict)
    if with_plots and verdict.outcome not in (None, "reproduced"):
        from pytest_repro.reports.html.page_data import make_page_data

        row["page"] = make_page_data(format_nodeid(item), verdict)


def _make_row(runner: ItemRunner, verdict: Verdict) -> dict[str, Any]:
    """The row of a test; only what the session's summary needs of it, unless something shows more."""
    is_plain = all(run.state == "ran" and not run.past_log for run in verdict.runs)
    is_foreign = verdict.baseline is not None and bool(verdict.baseline.environment_diff)
    if is_plain and not is_foreign and not _are_details_shown(runner):
        word = {"verdict": verdict.outcome} if verdict.outcome is not None else {}
        varied = {each.axis: list(each.values) for each in verdict.plan.vary}
        plan = {"plan": {"vary": varied}} if varied else {}
        seconds = {"diagnosis_seconds": verdict.diagnosis_seconds} if verdict.diagnosis_seconds else {}
        left = {"not_compared": list(verdict.not_compared)} if verdict.not_compared else {}
        reason = {"undiagnosed": verdict.undiagnosed} if verdict.undiagnosed else {}
        return {"nodeid": runner.item.nodeid, **word, **plan, **seconds, **reason, **left, "runs": []}
    from pytest_repro.reports.json.rows import verdict_to_row

    return verdict_to_row(runner.item.nodeid, verdict, _collect_values(runner))


def _are_details_shown(runner: ItemRunner) -> bool:
    """Whether a report, a page or GitHub shows more of a test than its verdict."""
    stash = runner.item.config.stash
    return stash[SETTINGS].json is not None or runner.trial.with_plots or stash[GITHUB]


def _make_properties(runner: ItemRunner, verdict: Verdict) -> Iterator[tuple[str, object]]:
    if verdict.outcome is not None:
        yield "repro_verdict", verdict.outcome
    yield "repro_seed", verdict.plan.seed
    if verdict.causes:
        yield "repro_cause", verdict.causes[0].name
    results = runner.extra_results
    if results.by_kind and (sweep := results.sweep) is not None:
        yield "repro_sweep", "broken" if sweep.failed else "kept"


def _make_extra_row(runner: ItemRunner) -> dict[str, Any]:
    """What the extra runs add to a row."""
    results, row = runner.extra_results.by_kind, dict[str, Any]()
    if results:
        for kind in list_extra_runs():
            if kind.name in results:
                row |= kind.make_row(runner, results[kind.name])
    return row


def _collect_values(runner: ItemRunner) -> Iterable[StoredValue]:
    """The values that a report holds of a test that is compared with other machines."""
    assert runner.verdict is not None
    has_report = runner.item.config.stash[SETTINGS].json is not None
    return (
        runner.trial.iter_stored_values()
        if has_report and runner.verdict.outcome not in ("failed", "skipped")
        else ()
    )


def _format_location(item: pytest.Item) -> str:
    """Where a test stands, relative to rootdir: ``tests/test_a.py:19``."""
    path, line, _ = item.location
    return f"{path.replace(os.sep, '/')}:{(line or 0) + 1}"


class _RowCollector:
    """Collects the rows that come with reports, from this process or from workers."""

    def __init__(self, rows: dict[str, dict[str, Any]]) -> None:
        self._rows = rows

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Takes a row; that of a rerun replaces the one before."""
        row = getattr(report, REPORT_ATTRIBUTE, None)
        if row is not None:
            node = getattr(report, "node", None)
            worker = getattr(getattr(node, "gateway", None), "id", "")
            self._rows[f"{worker} {row['key']}"] = row
            peers.extend_report(report, row)


def collect_rows(config: pytest.Config) -> None:
    """Collects rows; a worker of pytest-xdist leaves that to its controller."""
    if hasattr(config, "workerinput") or config.pluginmanager.has_plugin(_PLUGIN_NAME):
        return
    config.stash[ROWS] = {}
    config.pluginmanager.register(_RowCollector(config.stash[ROWS]), _PLUGIN_NAME)
    if config.stash[SETTINGS].update:
        from pytest_repro.plugin.session.baseline_writer import register_writer as listen_for_golden

        listen_for_golden(config)


def get_rows(config: pytest.Config) -> list[dict[str, Any]]:
    """The rows so far, in the order in which the tests ended; under pytest-xdist by node id."""
    rows = list(config.stash.get(ROWS, {}).values())
    if config.pluginmanager.has_plugin("dsession"):  # workers report in any order
        rows.sort(key=lambda row: str(row["nodeid"]))
    return rows


def get_environment(config: pytest.Config) -> dict[str, str]:
    """Environment and variables; under pytest-xdist of the workers: the controller imports no library."""
    workers = config.stash.setdefault(ENVIRONMENT, {})
    return {**environment(), **workers, **read_variables(os.environ)}


def should_plot(config: pytest.Config) -> bool:
    """Whether a report shows plots: ours, or another plugin's."""
    return config.stash[SETTINGS].html is not None or peers.can_show_plots(config)
