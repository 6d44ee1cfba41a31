"""Looks for the cause of a divergence in companions that never compute: they fork."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from functools import partial

import pytest

from pytest_repro.axes import Interpreter
from pytest_repro.companions.companion import Companion, InterpreterLost
from pytest_repro.companions.pool import CompanionPool
from pytest_repro.companions.start_state import StartState
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.diagnose import (
    Experiment,
    ExperimentResult,
    decode_result,
    encode_experiment,
)
from pytest_repro.engine.diagnose import DEFAULT_INTERPRETER, ExperimentFailed, KnownCall, ThisProcess
from pytest_repro.engine.diagnose.diagnose import diagnose_verdict
from pytest_repro.engine.diagnose.process.fresh_processes import digest_by_hash_seed
from pytest_repro.engine.diagnose.time_limit import can_limit_time, time_limit
from pytest_repro.engine.experiments.fork import (
    FORK_AVAILABLE,
    NOT_FORKABLE,
    TOOK_TOO_LONG,
    ExperimentFunction,
)
from pytest_repro.engine.experiments.fresh_imports import list_library_modules
from pytest_repro.engine.experiments.program_fork import find_server
from pytest_repro.engine.experiments.run_experiment import digest_runs, list_differing_names
from pytest_repro.engine.experiments.state.session_state import attach_session_state
from pytest_repro.engine.runs.trial import RunResult
from pytest_repro.plugin import peers
from pytest_repro.plugin.judge.judge import RunFunction
from pytest_repro.plugin.pytest_internals import find_outliving_roots
from pytest_repro.plugin.remote.companion_launcher import CompanionLauncher
from pytest_repro.plugin.run.progress import Progress
from pytest_repro.plugin.run.replay import encode_logs
from pytest_repro.plugin.stash import RUNNER, SETTINGS

_GRACE = 10.0
"""Seconds that an experiment has to answer beyond its own time limit."""


class Diagnoser:
    """Diagnoses the diverging tests of a session."""

    def __init__(self, launcher: CompanionLauncher, start: StartState, progress: Progress) -> None:
        self._progress, self._companions = progress, _ForkingCompanions(launcher, start)
        self._known_calls: list[KnownCall] = []

    def diagnose(self, item: pytest.Item, verdict: Verdict, run_here: RunFunction | None = None) -> Verdict:
        """*verdict*, which is ``diverged``, with its causes.

        Args:
            item: The test.
            verdict: Of its runs.
            run_here: Runs an experiment in this process, if that is possible; the caller has paused the body.
        """
        limit = item.config.stash[SETTINGS].diagnose_seconds
        target = _ItemTarget(item, self._companions)
        if run_here is not None and can_limit_time():
            runner = item.stash[RUNNER]
            assert runner.current.finished is not None
            last = RunResult(runner.current.finished, runner.current.final_recording)
            run = partial(_run_in_time, partial(run_here, item))
            digests, names = digest_runs(runner.trial, verdict, last), list_differing_names(verdict)
            test = f"{item.parent and item.parent.nodeid}::{getattr(item, 'originalname', item.name)}"
            others = digest_by_hash_seed(runner.trial.finished_runs)
            target.this_process = ThisProcess(run, digests, self._known_calls, names, test, others)
        # The body has ended, but not all fixtures: what they patched is still in place.
        pause = peers.wrap_pause(item) if run_here is None else nullcontext()
        with pause, closing(self._progress) as progress:
            answer = diagnose_verdict(target, verdict, limit, progress.start_diagnosis(item))
        found = replace(verdict, divergence=verdict.divergence or answer.divergence, causes=answer.causes)
        return replace(found, diagnosis_seconds=answer.seconds)

    def close(self) -> None:
        """Kills the companions: they hold nothing that is needed."""
        self._companions.pool.close(immediately=True)


def _run_in_time(run_here: ExperimentFunction, experiment: Experiment, seconds: float) -> ExperimentResult:
    with time_limit(seconds):
        return run_here(experiment)


class _ForkingCompanions:
    """Companions by the name of their interpreter: each has collected the tests, and runs them in forks."""

    def __init__(self, launcher: CompanionLauncher, start: StartState) -> None:
        self.launcher, self._thread_count = launcher, start.thread_count
        self.pristine_modules = start.pristine_modules
        self.needs_fresh_imports = False  # forks of what has imported the program cannot compute
        self.have_forks_computed = False
        self.names_of_alike = set[str]()  # of the interpreters whose forks import it instead
        self.pool = CompanionPool[str, Companion](max_losses=None, retry_start=True)

    def start(self, interpreter: Interpreter, deadline: float) -> Companion:
        name, timeout = f"inquiry {interpreter.name}", self.limit_timeout(deadline)
        libraries = list_library_modules() if interpreter.imports_libraries else []
        order = {"threads": self._thread_count, "bare": interpreter.imports_per_run, "libraries": libraries}
        order |= {"layout": interpreter.layout, "import_seconds": self.launcher.timeout}
        alike = interpreter.name in self.names_of_alike
        return self.launcher.start(interpreter, name, timeout, **order, alike=alike)

    def await_collection(self, deadline: float, companion: Companion) -> None:
        companion.receive("while it collected the tests", self.limit_timeout(deadline))

    def needs_imports_after(self, reason: str, interpreter: Interpreter) -> bool:
        """Whether an experiment that failed for *reason* is to be repeated in forks that import the program.

        If it hangs, as the first one, the program may have used threads of a library that nobody can ask,
        such as polars, and a fork does not have them.
        """
        hangs = reason == TOOK_TOO_LONG and not (self.have_forks_computed or interpreter.imports_per_run)
        self.needs_fresh_imports |= hangs or reason.startswith(NOT_FORKABLE)
        return hangs or reason.startswith(NOT_FORKABLE)

    def limit_timeout(self, deadline: float) -> float:
        return max(0.0, min(deadline - time.monotonic(), self.launcher.timeout))


class _ItemTarget:
    """A test as the target of experiments."""

    fresh_processes = FORK_AVAILABLE
    this_process: ThisProcess | None = None

    def __init__(self, item: pytest.Item, companions: _ForkingCompanions) -> None:
        self._item, self._companions, self._pool = item, companions, companions.pool

    def start_interpreters(self, interpreters: Sequence[Interpreter], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        try:
            with self._companions.pristine_modules.restore():
                for interpreter in (find_server(each)[0] for each in interpreters):
                    self._pool.get(interpreter.name, partial(self._companions.start, interpreter, deadline))
        except InterpreterLost as lost:
            raise ExperimentFailed(str(lost)) from None

    def run_experiment(
        self, experiment: Experiment, interpreter: Interpreter | None, seconds: float, seconds_left: float
    ) -> ExperimentResult:
        interpreter, deadline = interpreter or DEFAULT_INTERPRETER, time.monotonic() + seconds_left
        if self._companions.needs_fresh_imports and not interpreter.imports_per_run:
            return self._run_in_fresh_imports(experiment, interpreter, seconds, deadline)
        server, request = find_server(interpreter)
        name, start = server.name, partial(self._companions.start, server, deadline)
        try:
            with self._companions.pristine_modules.restore(), self._pool.using(name, start) as companion:
                self._pool.await_ready(name, partial(self._companions.await_collection, deadline))
                seconds_left = deadline - time.monotonic()
                seconds = min(seconds, seconds_left)
                key, logs = self._companions.launcher.item_keys[self._item], encode_logs(self._item)
                experiment = attach_session_state(experiment, find_outliving_roots(self._item))
                companion.send(request, encode_experiment(experiment), seconds, *key, logs)
                import_seconds = self._companions.launcher.timeout * bool(interpreter.forked_from)
                timeout = min(seconds + _GRACE + import_seconds, seconds_left)
                word, answer = companion.receive("while it tried the test", timeout)
        except InterpreterLost as lost:
            raise ExperimentFailed(str(lost)) from None
        if word == "unknown" and self._companions.needs_imports_after(answer, interpreter):
            return self._run_in_fresh_imports(experiment, interpreter, seconds, deadline)
        if word == "unknown":
            raise ExperimentFailed(f"an experiment in {interpreter.name} {answer}")
        self._companions.have_forks_computed |= not interpreter.imports_per_run
        return decode_result(answer)

    def _run_in_fresh_imports(
        self, experiment: Experiment, interpreter: Interpreter, seconds: float, deadline: float
    ) -> ExperimentResult:
        """Runs *experiment* in forks that import the program, which starts threads when it is imported."""
        name = f"{interpreter.name}, libraries imported"
        alone = replace(interpreter, forked_from=None)
        fresh = replace(alone, imports_per_run=True, imports_libraries=True, name=name)
        self._companions.names_of_alike.add(name)
        imports = len(experiment.cells) if experiment.fresh_forks else 1
        return self.run_experiment(experiment, fresh, seconds * imports, deadline - time.monotonic())
