"""Looks for the cause of a difference, in companions that never compute: they fork."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import fields, replace
from typing import Any, TypeVar

import pytest

from pytest_repro.axes import Interpreter
from pytest_repro.companions.companion import Companion, InterpreterLost
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
from pytest_repro.plugin.pytest_internals import get_basetemp
from pytest_repro.plugin.remote.companion_session import ItemKey, iter_item_keys
from pytest_repro.plugin.remote.workerinput import build_companion_order
from pytest_repro.plugin.run.progress import Progress
from pytest_repro.plugin.run.replay import encode_logs
from pytest_repro.plugin.stash import SETTINGS

_GRACE = 10.0
_LONG_RUN = 10.0
"""Grace for an experiment to answer, and the run time above which ``auto`` looks for no cause; in
seconds."""

T = TypeVar("T")


class Diagnoser:
    """Diagnoses the diverging tests of a session."""

    def __init__(self, session: pytest.Session, progress: Progress) -> None:
        self._config, self._progress = session.config, progress
        self._item_keys: dict[pytest.Item, ItemKey] = {
            item: place for place, item in iter_item_keys(session.items)
        }
        self._environment, self._argv = (list(sys.path), dict(os.environ)), list(sys.argv)
        self._pristine_modules, self._thread_count = PristineModules(), get_thread_count()
        self._companions: dict[str, Companion] = {}
        self._ready: set[str] = set()

    def diagnose(self, item: pytest.Item, verdict: Verdict) -> Verdict:
        """*verdict*, which is ``diverged``, with its cause, if the settings ask for one."""
        settings = self._config.stash[SETTINGS]
        # The quickest run counts: the first may have imported what the others found.
        seconds = min(run.seconds for run in verdict.runs)
        root = f"{self._config.rootpath}{os.sep}"
        if verdict.divergence is not None:
            verdict = replace(verdict, divergence=_make_paths_relative(verdict.divergence, root))
        if (
            verdict.plan.ranks
            or settings.diagnose == "never"
            or (settings.diagnose == "auto" and seconds > _LONG_RUN)
        ):
            return verdict
        from pytest_repro.engine.diagnose.diagnose import diagnose_verdict

        # The body has ended, but not its fixtures: what they patched is still in place.
        with self._pristine_modules.restore(), peers.wrap_pause(item), closing(self._progress) as progress:
            answer = diagnose_verdict(
                _ItemTarget(self, item), verdict, settings.diagnose_seconds, progress.show
            )
        found = _make_paths_relative(answer.divergence, root) if answer.divergence else None
        return replace(
            verdict, divergence=verdict.divergence or found, cause=_make_paths_relative(answer.cause, root)
        )

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
        end = time.monotonic() + seconds_left
        try:
            companion = self._get_companion(interpreter, seconds_left)
            if interpreter.name not in self._ready:
                companion.receive("while it collected the tests", self._limit_timeout(end - time.monotonic()))
                self._ready.add(interpreter.name)
            seconds_left = end - time.monotonic()
            seconds = min(seconds, seconds_left)
            companion.send(
                "try", encode_experiment(experiment), seconds, *self._item_keys[item], encode_logs(item)
            )
            word, said = companion.receive("while it tried the test", min(seconds + _GRACE, seconds_left))
        except InterpreterLost as lost:
            if interpreter.name in self._companions:
                self._companions.pop(interpreter.name).kill()
                self._ready.discard(interpreter.name)
            raise ExperimentFailed(str(lost)) from None
        if word == "unknown":
            raise ExperimentFailed(f"an experiment in {interpreter.name} {said}")
        return decode_result(said)

    def _get_companion(self, interpreter: Interpreter, seconds_left: float) -> Companion:
        if interpreter.name not in self._companions:
            name, folder = f"inquiry {interpreter.name}", get_basetemp(self._config)
            told = build_companion_order(self._config, name, interpreter.local, folder, self._argv)
            told.update(threads=self._thread_count, bare=interpreter.imports_per_run)
            paths, environ = self._environment
            self._companions[interpreter.name] = Companion(
                interpreter, told, paths, self._limit_timeout(seconds_left), environ
            )
        return self._companions[interpreter.name]

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
            for each in interpreters:
                self._get_companion(each, end - time.monotonic())
        except InterpreterLost as lost:
            raise ExperimentFailed(str(lost)) from None

    def close(self) -> None:
        """Ends the companions at once: they hold nothing that is needed."""
        while self._companions:
            self._companions.popitem()[1].kill()


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
    found: Any = record
    made: T = replace(
        found, **{each.name: _strip_root(getattr(found, each.name), root) for each in fields(found)}
    )
    return made


def _strip_root(value: Any, root: str) -> Any:
    if isinstance(value, str):
        return value.replace(root, "")
    if not isinstance(value, tuple):
        return value
    parts = [_strip_root(each, root) for each in value]
    return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
