"""One run of an item while it is in progress."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_ITERABLE_COROUTINE
from time import perf_counter
from types import FrameType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from pytest_repro.axes import get_axis
from pytest_repro.core.compare.verdict import NotReproducible, Verdict
from pytest_repro.core.plan.plan import Capture
from pytest_repro.core.runs.run import Outcome, Run, RunSpec
from pytest_repro.engine.runs.local_variables import USES_PROFILER, find_code, start_keeping_frame
from pytest_repro.engine.runs.recording import Recording, RecordingBase
from pytest_repro.plugin.run.outcome import describe_failed_subtest

if TYPE_CHECKING:
    from pytest_repro.engine.experiments.draw_lines import DrawLines
    from pytest_repro.engine.runs.generator_states import DrawWatch
    from pytest_repro.engine.sweep.sweep import SweepResult
    from pytest_repro.plugin.run.item_runner import ItemRunner


PhaseContext = Callable[[], AbstractContextManager[object]]


@dataclass(slots=True)
class ItemRun:
    """What is known of a run between its set-up and its end.

    Attributes:
        spec: What is run.
        recording: What the test records into.
        make_recording: Returns another one for a rerun, if not the trial does.
        phase_context: Wraps the set-up and the body.
        on_body_start: Called just before the body begins.
        final_recording: What counts: the recording, or what ranks recorded.
        used_axes: Axes that the test itself has applied.
        failed_subtest: Error and traceback of the first subtest that failed.
        failed_assertion: Verdict of an assertion of this package that failed, in the set-up too.
        drew_on_axis: Whether the test drew numbers that differ at other values of the axis.
        setup_started: Whether the set-up has begun.
        body_started: Whether the body has begun.
        frames: Of the test's function.
        start: When the set-up began, as :func:`time.perf_counter` says.
        finished: The finished run.
        record: Records a named value.
    """

    spec: RunSpec
    recording: Recording
    final_recording: RecordingBase
    record: Callable[[str, object], None]
    make_recording: Callable[[], Recording] | None = None
    phase_context: PhaseContext | None = None
    on_body_start: Callable[[], None] | None = None
    used_axes: set[str] = field(default_factory=set)
    failed_subtest: tuple[str, str] | None = None
    failed_assertion: Verdict | None = None
    drew_on_axis: bool = False
    setup_started: bool = False
    body_started: bool = False
    start: float = field(default_factory=perf_counter)
    finished: Run | None = None
    frames: list[FrameType] = field(default_factory=list)

    def start_keeping_frame(
        self, function: Callable[..., object] | None, capture: Capture
    ) -> Callable[[], None]:
        """Keeps the frame of the test's function at its first call; returns what stops watching for it."""
        # Hypothesis calls the body once per example: there is no single set of local variables.
        is_ignored = capture == "recorded" or hasattr(function, "hypothesis")
        return start_keeping_frame(None if is_ignored else find_code(function), self.frames)

    def observe_locals(self, capture: Capture) -> None:
        """Records the local variables of a body that has ended, as *capture* asks."""
        if not self.frames:
            self.recording.record_assertion()
            return
        if capture == "locals" or not len(self.recording):
            self.recording.record_locals(self.frames[0])
        self.recording.record_assertion()

    def note_subtest_report(self, report: pytest.TestReport) -> None:
        """Notes the report of a subtest, which is sent while the body runs."""
        if self.body_started and self.finished is None and report.failed:
            self.failed_subtest = self.failed_subtest or describe_failed_subtest(report)

    def note_assertion_error(self, error: NotReproducible) -> None:
        """Notes that an assertion of this package has ended the body, its set-up or a subtest."""
        if self.finished is None:
            self.failed_assertion = error.verdict

    def apply_failed_assertion(self, run: Run) -> Run:
        """*run* with what an assertion of this package found, if one failed."""
        word = None if self.failed_assertion is None else self.failed_assertion.outcome
        return replace(run, failed_check=word) if word == "diverged" or word == "unobserved" else run

    def explain_missing_opt_in(self) -> str:
        """Why the axis was not varied: for some axes the test must do its part."""
        axis = self.spec.cell.axis
        return "" if axis in self.used_axes else get_axis(axis).opt_in_message


_CO_ASYNC = CO_COROUTINE | CO_ITERABLE_COROUTINE | CO_ASYNC_GENERATOR


def keep_frame_in_call(item: pytest.Function, run: ItemRun, capture: Capture) -> Callable[[], None]:
    """Starts to keep the frame of the test's function when pytest calls it; returns what ends that.

    A profile function sees the 30 calls that pytest makes before it, 35 µs of a test with three runs. Tests
    that other plugins may run keep their function: coroutines, and those with attributes (Hypothesis).
    """
    function: Any = item.obj
    if not (USES_PROFILER and _is_plain(function)):
        return run.start_keeping_frame(function, capture)

    def restore() -> None:
        item.obj = function

    def call(*args: object, **kwargs: object) -> object:
        __tracebackhide__ = True
        restore()  # the test may look at it
        stop = run.start_keeping_frame(function, capture)
        try:
            return function(*args, **kwargs)
        finally:
            stop()

    item.obj = call
    return restore


def _is_plain(function: Any) -> bool:
    if type(function) not in (FunctionType, MethodType) or function.__dict__.keys() - {"pytestmark"}:
        return False
    return not function.__code__.co_flags & _CO_ASYNC


class JudgeProtocol(Protocol):
    """Judges a test whose last run has ended."""

    def compute_verdict(self, runner: ItemRunner, run: Run) -> Verdict:
        """The verdict of a test."""

    def find_failure(self, runner: ItemRunner, run: Run, verdict: Verdict) -> BaseException | None:
        """What to raise if *verdict* fails the test."""


class SetupOutput:
    """What the set-ups of one test print.

    Attributes:
        has_wider_fixtures: Whether one has made fixtures wider than the test.
    """

    def __init__(self, item: pytest.Item) -> None:
        self._item, self.has_wider_fixtures = item, False
        self._saved_sections: list[tuple[str, str, str]] | None = None

    def note_wider_fixture(self) -> None:
        """Notes that a set-up is about to make a fixture wider than the test."""
        self.has_wider_fixtures = True

    def add_sections(self) -> None:
        """Adds to the report what the set-up of a rehearsal printed, before the body prints."""
        for stream, text in zip(("stdout", "stderr"), self._read_capture()):
            self._item.add_report_section("setup", stream, text)

    def _read_capture(self) -> tuple[str, str]:
        plugin = self._item.config.pluginmanager.get_plugin("capturemanager")
        return ("", "") if plugin is None else plugin.read_global_capture()

    def save(self) -> None:
        """Keeps what a set-up printed that made wider fixtures."""
        if self._saved_sections is None:
            self._saved_sections = [s for s in self._item._report_sections if s[0] == "setup"]

    def restore(self) -> None:
        """Replaces what the last set-up printed: the kept output holds the function fixtures' too."""
        sections = self._item._report_sections
        if self._saved_sections is not None:
            sections[:] = [*self._saved_sections, *(s for s in sections if s[0] != "setup")]


@dataclass(slots=True)
class ExtraResults:
    """Of one test.

    Attributes:
        by_kind: What each kind of extra runs shows, by its name.
        requests: How the user asks for each kind, by its name.
        budgets: Rules for recorded numbers over the seeds of a sweep, by name.
        error: Traceback of what broke while extra runs were made.
        reference_outcome: Outcome of the reference run.
        draw_watch: Draws of a run that nothing in the test had seeded.
        draw_lines: Their lines, in a later run, if a report has them.
        generators_used: Whether a test drew from a global generator, where that is tracked.
        seed_check_note: What the session's summary says of the seed check.
    """

    by_kind: dict[str, object] = field(default_factory=dict)
    requests: dict[str, str] = field(default_factory=dict)
    budgets: dict[str, dict[str, float]] = field(default_factory=dict)
    error: str = ""
    reference_outcome: Outcome = "passed"
    draw_watch: DrawWatch | None = None
    draw_lines: DrawLines | None = None
    generators_used: bool = False
    seed_check_note: str = ""

    @property
    def sweep(self) -> SweepResult | None:
        """The result of the seed sweep."""
        return self.by_kind.get("sweep")  # type: ignore[return-value]

    def add_budget(self, name: str, rules: dict[str, float]) -> None:
        """Adds *rules* for the recorded number *name*.

        Raises:
            ValueError: A rule had another number before, in this run or with another seed.
        """
        known = self.budgets.setdefault(name, {})
        for rule, limit in rules.items():
            if known.setdefault(rule, limit) != limit:
                conflict = f"{rule}={known[rule]:g} first and {rule}={limit:g} now"
                raise ValueError(f"repro.budget({name!r}): {conflict}: one number holds for all seeds")
