"""Runs of a test that are not compared: one file for each kind, found like adapters and axes.

They are made after the rehearsals and before the last run, which is pytest's own. Another distribution
adds a kind under the entry point group ``pytest_repro.extra_runs``: a module whose ``extra_run`` is an
:class:`ExtraRun`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.plugins import find_plugins, load_plugin
from pytest_repro.reports.summary import format_notes

if TYPE_CHECKING:
    from pytest_repro.core.runs.run import Run
    from pytest_repro.plugin.config.settings import Settings
    from pytest_repro.plugin.extra_runs._runner import ExtraRunner
    from pytest_repro.plugin.run.item_runner import ItemRunner

ENTRY_POINT_GROUP = "pytest_repro.extra_runs"


class ExtraRun:
    """One kind of extra runs. Only :meth:`get_request` and :meth:`make` are required."""

    #: Name of its file.
    name: ClassVar[str]
    #: Position among the kinds: in the order of the runs, and of the lines of the session's summary.
    order = 100
    #: Whether a test that fails has none.
    needs_passing_test = False
    #: What the runs are for, in a sentence.
    purpose = ""
    #: Key of its row that holds a note for the terminal alone, and the label of that note.
    note_key, label = "", ""

    def get_request(self, plan: Plan, settings: Settings) -> str:
        """How the user asks for these runs (``"--repro-cost"``); ``""`` if nobody does."""
        raise NotImplementedError

    def make(self, runner: ExtraRunner) -> object:
        """Makes the runs; returns what they show together, or None where they show nothing."""
        raise NotImplementedError

    def judge(self, runner: ItemRunner, run: Run, result: Any) -> BaseException | None:
        """What to raise where *result*, which :meth:`make` returned, fails a test whose own runs agree.

        The verdict of *runner* is known; *run* is the last run.
        """
        return None

    def make_row(self, runner: ItemRunner, result: Any) -> Mapping[str, Any]:
        """Keys that *result* adds to the test's row of the JSON report."""
        return {}

    def format_lines(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        """Lines of the session's summary: the notes of its tests."""
        return format_notes(rows, self.note_key, self.label) if self.note_key else iter(())

    def format_interference(self, result: Any) -> tuple[str, str]:
        """Title and text of a report section: these runs may have caused the difference."""
        text = (
            f"extra runs came before the last run, for {self.purpose}: without them, see whether state that "
            "they left behind made the difference"
        )
        return "extra runs", text

    def __init_subclass__(cls) -> None:
        cls.name = cls.__module__.rpartition(".")[2]


@cache
def list_extra_runs() -> tuple[ExtraRun, ...]:
    """Every kind, in the order in which they run."""
    names = find_plugins(__name__, ENTRY_POINT_GROUP)
    kinds = [load_plugin(__name__, name, ENTRY_POINT_GROUP).extra_run for name in names]
    return tuple(sorted(kinds, key=lambda kind: kind.order))


def list_requested(runner: ItemRunner, settings: Settings) -> list[ExtraRun]:
    """Kinds that the test of *runner* has.

    Runs in ranks are recorded elsewhere, and a replay log holds nothing for another seed or mode:
    such tests have none.
    """
    plan, requests = runner.trial.plan, runner.extra_results.requests
    for kind in list_extra_runs():
        if request := kind.get_request(plan, settings):
            requests[kind.name] = request
    if plan.ranks or settings.replay is not None:
        return []
    return [kind for kind in list_extra_runs() if kind.name in requests] if requests else []


def describe_omitted(runner: ItemRunner, settings: Settings) -> str:
    """Extra runs that were asked for and not made, with the reason; ``""`` if there are none."""
    plan, results = runner.trial.plan, runner.extra_results
    requests = [*results.requests.values(), *["its budgets"] * bool(plan.seeds and results.budgets)]
    if requests and settings.replay is not None:
        return f"{', '.join(requests)}: not with --repro-replay, whose log feeds each run"
    if requests and plan.ranks:
        return f"{', '.join(requests)}: not for tests in ranks"
    if requests and results.reference_outcome == "failed":
        kinds = (kind for kind in list_extra_runs() if kind.needs_passing_test)
        if skipped := [results.requests[kind.name] for kind in kinds if kind.name in results.requests]:
            return f"{', '.join(skipped)}: not for a test that fails"
    return "budgets: not with --repro-seeds=0" if results.budgets and not plan.seeds else ""
