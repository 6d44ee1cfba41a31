"""Looks for the cause of a divergence in companions that never compute: they fork."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import fields, replace
from functools import partial
from typing import Any, TypeVar

import pytest

from pytest_repro.axes import Interpreter
from pytest_repro.companions.companion import Companion, InterpreterLost
from pytest_repro.companions.pool import CompanionPool
from pytest_repro.companions.pristine_stdlib import PristineModules
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.diagnose.experiment import (
    Experiment,
    ExperimentResult,
    decode_result,
    encode_experiment,
)
from pytest_repro.engine.diagnose.budgeted_experiments import DEFAULT_INTERPRETER, ExperimentFailed
from pytest_repro.engine.experiments.fork import FORK_AVAILABLE
from pytest_repro.engine.experiments.process_setup import get_thread_count
from pytest_repro.plugin import peers
from pytest_repro.plugin.remote.companion_launcher import CompanionLauncher
from pytest_repro.plugin.run.progress import Progress
from pytest_repro.plugin.run.replay import encode_logs
from pytest_repro.plugin.stash import SETTINGS

_GRACE = 10.0
"""Seconds that an experiment has to answer beyond its own time limit."""
_LONG_RUN = 10.0
"""Seconds of a run above which ``--repro-diagnose=auto`` looks for no cause."""

T = TypeVar("T")


class Diagnoser:
    """Diagnoses the diverging tests of a session."""

    def __init__(self, session: pytest.Session, progress: Progress) -> None:
        self._config, self._progress = session.config, progress
        self._launcher = CompanionLauncher(session)
        self._pristine_modules, self._thread_count = PristineModules(), get_thread_count()
        self._pool = CompanionPool[str, Companion](max_losses=None, retry_start=True)

    def diagnose(self, item: pytest.Item, verdict: Verdict) -> Verdict:
        """*verdict*, which is ``diverged``, with its cause, if the settings ask for one."""
        root = f"{self._config.rootpath}{os.sep}"
        if verdict.divergence is not None:
            verdict = replace(verdict, divergence=_make_paths_relative(verdict.divergence, root))
        if not self._should_diagnose(verdict):
            return verdict
        from pytest_repro.engine.diagnose.diagnose import diagnose_verdict

        limit = self._config.stash[SETTINGS].diagnose_seconds
        # The body has ended, but not its fixtures: what they patched is still in place.
        with self._pristine_modules.restore(), peers.wrap_pause(item), closing(self._progress) as progress:
            answer = diagnose_verdict(_ItemTarget(self, item), verdict, limit, progress.show)
        divergence = _make_paths_relative(answer.divergence, root) if answer.divergence else None
        cause = _make_paths_relative(answer.cause, root)
        return replace(verdict, divergence=verdict.divergence or divergence, cause=cause)

    def _should_diagnose(self, verdict: Verdict) -> bool:
        when = self._config.stash[SETTINGS].diagnose
        if verdict.plan.ranks or when == "never":
            return False
        # The quickest run counts: the first may have imported what the others found imported.
        return when == "always" or min(run.seconds for run in verdict.runs) <= _LONG_RUN

    def run_experiment(
        self,
        item: pytest.Item,
        experiment: Experiment,
        interpreter: Interpreter,
        seconds: float,
        seconds_left: float,
    ) -> ExperimentResult:
        """Runs an experiment in the companion for *interpreter*.

        Raises:
            ExperimentFailed: The companion gave no answer.
        """
        end, name = time.monotonic() + seconds_left, interpreter.name

        def await_collection(companion: Companion) -> None:
            companion.receive("while it collected the tests", self._limit_timeout(end - time.monotonic()))

        try:
            with self._pool.using(name, partial(self._start, interpreter, seconds_left)) as companion:
                self._pool.await_ready(name, await_collection)
                seconds_left = end - time.monotonic()
                seconds = min(seconds, seconds_left)
                key = self._launcher.item_keys[item]
                companion.send("try", encode_experiment(experiment), seconds, *key, encode_logs(item))
                word, answer = companion.receive(
                    "while it tried the test", min(seconds + _GRACE, seconds_left)
                )
        except InterpreterLost as lost:
            raise ExperimentFailed(str(lost)) from None
        if word == "unknown":
            raise ExperimentFailed(f"an experiment in {name} {answer}")
        return decode_result(answer)

    def _start(self, interpreter: Interpreter, seconds_left: float) -> Companion:
        return self._launcher.start(
            interpreter,
            f"inquiry {interpreter.name}",
            self._limit_timeout(seconds_left),
            threads=self._thread_count,
            bare=interpreter.imports_per_run,
        )

    def _limit_timeout(self, seconds_left: float) -> float:
        """Seconds to wait for an interpreter, with *seconds_left* for the whole diagnosis."""
        return max(0.0, min(seconds_left, self._config.stash[SETTINGS].companion_timeout))

    def start_interpreters(self, interpreters: Sequence[Interpreter], seconds: float) -> None:
        """Starts *interpreters* in parallel; they collect while the first is in use.

        Raises:
            ExperimentFailed: One could not be started.
        """
        end = time.monotonic() + seconds
        try:
            for interpreter in interpreters:
                start = partial(self._start, interpreter, end - time.monotonic())
                self._pool.get(interpreter.name, start)
        except InterpreterLost as lost:
            raise ExperimentFailed(str(lost)) from None

    def close(self) -> None:
        """Kills the companions: they hold nothing that is needed."""
        self._pool.close(immediately=True)


class _ItemTarget:
    """A test as the target of experiments."""

    fresh_processes = FORK_AVAILABLE

    def __init__(self, diagnoser: Diagnoser, item: pytest.Item) -> None:
        self._diagnoser, self._item = diagnoser, item

    def start_interpreters(self, interpreters: Sequence[Interpreter], seconds: float) -> None:
        self._diagnoser.start_interpreters(interpreters, seconds)

    def run_experiment(
        self, experiment: Experiment, interpreter: Interpreter | None, seconds: float, seconds_left: float
    ) -> ExperimentResult:
        return self._diagnoser.run_experiment(
            self._item, experiment, interpreter or DEFAULT_INTERPRETER, seconds, seconds_left
        )


def _make_paths_relative(record: T, root: str) -> T:
    """*record* with its paths relative to *root*."""
    values: Any = record
    changes = {field.name: _strip_root(getattr(values, field.name), root) for field in fields(values)}
    relative: T = replace(values, **changes)
    return relative


def _strip_root(value: Any, root: str) -> Any:
    if isinstance(value, str):
        return value.replace(root, "")
    if not isinstance(value, tuple):
        return value
    parts = [_strip_root(part, root) for part in value]
    return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
