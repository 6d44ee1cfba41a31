"""Runs of an item that nobody else sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from pytest_repro.core.runs.run import RunSpec
from pytest_repro.engine.runs.recording import Recording
from pytest_repro.engine.runs.run_source import MAX_ATTEMPTS, BodyStartCallback
from pytest_repro.engine.runs.trial import RunResult
from pytest_repro.plugin import peers
from pytest_repro.plugin.pytest_internals import find_outliving_roots
from pytest_repro.plugin.run.item_run import PhaseContext
from pytest_repro.plugin.run.item_runner import ItemRunner
from pytest_repro.plugin.run.rehearse import Rehearser

if TYPE_CHECKING:
    from pytest_repro.core.diagnose import StateRoot


class ItemRuns:
    """Makes runs of one item: rehearsals, extra runs, runs in a companion, runs of an experiment.

    Attributes:
        runner: Of the item.
        trial: The runs so far.
        reports: pytest's reports of the last run.
    """

    def __init__(self, runner: ItemRunner, rehearser: Rehearser) -> None:
        self.runner, self.trial = runner, runner.trial
        self._rehearser = rehearser
        self.reports: Sequence[pytest.TestReport] = ()

    @contextmanager
    def silence(
        self,
        on_warning: Callable[[dict[str, Any]], None] | None = None,
        on_report: Callable[[pytest.TestReport], None] | None = None,
    ) -> Iterator[None]:
        """Keeps the runs in the block from being seen by others.

        Args:
            on_warning: Called with the arguments of pytest's hook for each warning; by default the
                runner keeps them.
            on_report: Called with the reports of subtests, besides the runner.
        """

        def note_report(report: pytest.TestReport) -> None:
            self.runner.current.note_subtest_report(report)
            if on_report is not None:
                on_report(report)

        item, on_warning = self.runner.item, on_warning or self.runner.warnings.add
        with peers.wrap_rehearsals(item), self._rehearser.silence(item, note_report, on_warning):
            yield

    def run(
        self,
        spec: RunSpec,
        on_body_start: BodyStartCallback | None = None,
        make_recording: Callable[[], Recording] | None = None,
        phase_context: PhaseContext | None = None,
        max_attempts: int = MAX_ATTEMPTS,
    ) -> RunResult:
        """Makes one run, in the block of :meth:`silence`; a run that imports a library is repeated."""
        self.runner.begin(spec, make_recording, phase_context, on_body_start)
        try:
            for _ in range(max_attempts):
                self.reports = self._rehearse(spec)
                if self.runner.is_settled:
                    break
        finally:
            if on_body_start is not None:  # an experiment, whose patches lie below those of the run
                self.runner.pin.end_run()
        return RunResult(self.runner.finish_run(self.reports), self.runner.current.final_recording)

    def _rehearse(self, spec: RunSpec) -> Sequence[pytest.TestReport]:
        with self.runner.tracer.trace_run(spec):  # a repeated run replaces its trace
            reports = self._rehearser.rehearse(self.runner.item)
        if self.runner.setup_output.has_wider_fixtures:
            self.runner.setup_output.save()
        return reports

    def find_roots(self) -> Mapping[str, StateRoot]:
        """Fixtures that outlive the test, and its parameters."""
        return find_outliving_roots(self.runner.item)
