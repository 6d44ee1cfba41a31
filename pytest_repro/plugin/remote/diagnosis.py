"""Looks for what made a test differ, in companions of its own that never compute: they fork."""

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
from pytest_repro.companions.companion import Companion, Lost
from pytest_repro.companions.pristine_stdlib import Names
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.diagnose.experiment import Experiment, Tried, order_text, tried_of
from pytest_repro.engine.diagnose.budgeted_experiments import LIKE_THIS, Untried
from pytest_repro.engine.experiments.fork import AVAILABLE
from pytest_repro.engine.experiments.single_thread import threads_here
from pytest_repro.plugin import SETTINGS, peers
from pytest_repro.plugin.pytest_internals import basetemp
from pytest_repro.plugin.remote.companion_session import Place, places
from pytest_repro.plugin.remote.workerinput import order
from pytest_repro.plugin.run.progress import Progress
from pytest_repro.plugin.run.replay import told_logs

_GRACE = 10.0
_LONG = 10.0
"""Seconds over its time that an experiment may take to answer; of a run from which on nobody looks
for causes unless asked to."""

T = TypeVar("T")


class Inquiries:
    """The inquiries of a session."""

    def __init__(self, session: pytest.Session, progress: Progress) -> None:
        self._config, self._progress = session.config, progress
        self._places: dict[pytest.Item, Place] = {item: place for place, item in places(session.items)}
        self._world, self._argv = (list(sys.path), dict(os.environ)), list(sys.argv)
        self._names, self._threads = Names(), threads_here()
        self._companions: dict[str, Companion] = {}
        self._ready: set[str] = set()

    def explained(self, item: pytest.Item, verdict: Verdict) -> Verdict:
        """*verdict*, which is ``diverged``, with what made it so, where that is asked for."""
        settings = self._config.stash[SETTINGS]
        # Of all runs the quickest: the first may have imported what the others found.
        seconds = min(run.seconds for run in verdict.runs)
        root = f"{self._config.rootpath}{os.sep}"
        if verdict.divergence is not None:
            verdict = replace(verdict, divergence=_relative(verdict.divergence, root))
        if (
            verdict.plan.ranks
            or settings.diagnose == "never"
            or (settings.diagnose == "auto" and seconds > _LONG)
        ):
            return verdict
        from pytest_repro.engine.diagnose.diagnose import inquire

        # The body has ended, its fixtures have not: what they have patched is still in place.
        with self._names.back(), peers.waiting(item), closing(self._progress) as progress:
            answer = inquire(_Test(self, item), verdict, settings.diagnose_seconds, progress.say)
        found = _relative(answer.divergence, root) if answer.divergence else None
        return replace(
            verdict, divergence=verdict.divergence or found, finding=_relative(answer.finding, root)
        )

    def tried(
        self, item: pytest.Item, asked: Experiment, where: Interpreter, seconds: float, left: float
    ) -> Tried:
        """Makes an experiment in the companion for *where*.

        Raises:
            Untried: It gave no answer.
        """
        end = time.monotonic() + left
        try:
            companion = self._companion(where, left)
            if where.called not in self._ready:
                companion.receive("while it collected the tests", self._within(end - time.monotonic()))
                self._ready.add(where.called)
            left = end - time.monotonic()
            seconds = min(seconds, left)
            companion.send("try", order_text(asked), seconds, *self._places[item], told_logs(item))
            word, said = companion.receive("while it tried the test", min(seconds + _GRACE, left))
        except Lost as lost:
            if where.called in self._companions:
                self._companions.pop(where.called).kill()
                self._ready.discard(where.called)
            raise Untried(str(lost)) from None
        if word == "unknown":
            raise Untried(f"an experiment in {where.called} {said}")
        return tried_of(said)

    def _companion(self, where: Interpreter, left: float) -> Companion:
        if where.called not in self._companions:
            name, folder = f"inquiry {where.called}", basetemp(self._config)
            told = order(self._config, name, where.local, folder, self._argv)
            told.update(threads=self._threads, bare=where.bare)
            paths, environ = self._world
            self._companions[where.called] = Companion(where, told, paths, self._within(left), environ)
        return self._companions[where.called]

    def _within(self, left: float) -> float:
        """Seconds that are waited for an interpreter, when *left* are left of the time for the cause."""
        return max(0.0, min(left, self._config.stash[SETTINGS].companion_timeout))

    def prepare(self, interpreters: Sequence[Interpreter], seconds: float) -> None:
        """Starts *interpreters* beside each other; they collect while the first is asked.

        Raises:
            Untried: One cannot be started.
        """
        end = time.monotonic() + seconds
        try:
            for each in interpreters:
                self._companion(each, end - time.monotonic())
        except Lost as lost:
            raise Untried(str(lost)) from None

    def close(self) -> None:
        """Ends the companions at once: they have nothing to bring home."""
        while self._companions:
            self._companions.popitem()[1].kill()


class _Test:
    """A test, as an inquiry tries it."""

    fresh = AVAILABLE

    def __init__(self, inquiries: Inquiries, item: pytest.Item) -> None:
        self._inquiries, self._item = inquiries, item

    def prepare(self, interpreters: Sequence[Interpreter], seconds: float) -> None:
        self._inquiries.prepare(interpreters, seconds)

    def tried(
        self, experiment: Experiment, interpreter: Interpreter | None, seconds: float, left: float
    ) -> Tried:
        return self._inquiries.tried(self._item, experiment, interpreter or LIKE_THIS, seconds, left)


def _relative(record: T, root: str) -> T:
    """*record* with every path in it as it is from *root*."""
    found: Any = record
    made: T = replace(
        found, **{each.name: _shorter(getattr(found, each.name), root) for each in fields(found)}
    )
    return made


def _shorter(value: Any, root: str) -> Any:
    if isinstance(value, str):
        return value.replace(root, "")
    if not isinstance(value, tuple):
        return value
    parts = [_shorter(each, root) for each in value]
    return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
