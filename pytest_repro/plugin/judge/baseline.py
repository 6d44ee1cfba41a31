"""A test and its golden file: it is compared with what is stored of it, or an entry is made to be stored.

Tests are compared where they run. What is to be stored travels with the tear-down's report to the
session that was started by hand: one process writes, whatever workers there were, and one that dies
later takes nothing along.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pytest_repro.adapters import fingerprint
from pytest_repro.core.compare.compare import steps
from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.verdict import Verdict, Word
from pytest_repro.core.golden.golden import Baseline, Entry, Fields, Golden, nearest, unlike
from pytest_repro.core.golden.golden_file import text
from pytest_repro.core.plan.level import seen_at
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.observation import Key, label
from pytest_repro.engine.golden.compare import Seen, arrays_of, compared, differing, entry_of, seen
from pytest_repro.engine.golden.store import lacking, load, values_beside
from pytest_repro.engine.runs.recording import Recorded
from pytest_repro.engine.runs.trial import Trial
from pytest_repro.plugin import SETTINGS
from pytest_repro.values.hashing import short_digest
from pytest_repro.values.safetensors_file import opened, written

FOLDER = "__repro__"
ATTRIBUTE = "repro_golden"
"""Of a report: what is to be stored, as plain data."""

_LOADED = pytest.StashKey[tuple[object, Golden]]()
_PENDING = pytest.StashKey[dict[str, Any]]()


def golden_file(module: Path) -> Path:
    """Where the entries of the tests in *module* are."""
    return module.parent / FOLDER / f"{module.stem}.json"


class _Here(NamedTuple):
    """One test in this environment.

    Attributes:
        nodeid: pytest's own.
        path: Of its golden file.
        key: Of the environment.
        fields: The environment.
        seen: What was observed.
        base: What is said of it whatever comes of it.
    """

    nodeid: str
    path: Path
    key: str
    fields: Fields
    seen: Mapping[Key, Seen]
    base: Baseline


def judged(item: pytest.Item, verdict: Verdict, trial: Trial, last: Recorded) -> Verdict:
    """*verdict*, whose runs agree, with what the golden file says; of others nothing is asked.

    Args:
        item: The test, while the switches stand as it has met them.
        verdict: What follows from its runs.
        trial: Of them.
        last: What the last run recorded.
    """
    item.stash[_PENDING] = {}
    if verdict.word not in (None, "reproduced"):
        return verdict
    recorded = trial.reference[1] if trial.reference is not None else last
    if not len(recorded):
        return replace(verdict, word="unobserved")
    here = _here(item, verdict.plan, seen(recorded, trial.shelf))
    try:
        golden = _loaded(item.config, here.path)
        stored = nearest(golden, here.nodeid, here.key, here.fields)
        found = _missing(here, verdict) if stored is None else _beside(here, verdict, golden, stored)
    except (OSError, ValueError) as error:
        said = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
        return replace(verdict, word="no-baseline", baseline=replace(here.base, broken=said))
    settings = item.config.stash[SETTINGS]
    most = settings.baseline_kb * 2**10
    if not settings.update or (found.word == "reproduced" and not _lacks(here, golden, stored, most)):
        return found
    item.stash[_PENDING] = _plain(here, most)
    return replace(verdict, baseline=here.base)


def _here(item: pytest.Item, plan: Plan, found: Mapping[Key, Seen]) -> _Here:
    # The seed is no machine's, but like one it makes other numbers rightful.
    fields = {**fingerprint(), "seed": str(plan.seed)}
    key = short_digest("\n".join(f"{name}={value}" for name, value in sorted(fields.items())))
    path = golden_file(item.path)
    commanded = item.config.stash[SETTINGS].commanded.items()
    options = "".join(f" --repro-{name}={value}" for name, value in commanded)
    return _Here(
        item.nodeid, path, key, fields, found, Baseline(_called(item.config, path), key, options=options)
    )


def _loaded(config: pytest.Config, path: Path) -> Golden:
    """The golden file at *path*, read once for all tests of a module as long as it stays the same."""
    try:
        found = path.lstat()
    except OSError:
        return load(path)
    mark = path, found.st_ino, found.st_size, found.st_mtime_ns
    if config.stash.get(_LOADED, (None,))[0] != mark:
        config.stash[_LOADED] = mark, load(path)
    return config.stash[_LOADED][1]


def _called(config: pytest.Config, path: Path) -> str:
    try:
        return os.path.relpath(path, config.invocation_params.dir)
    except ValueError:  # on another drive
        return str(path)


def _missing(here: _Here, verdict: Verdict) -> Verdict:
    return replace(verdict, word="no-baseline", baseline=here.base)


def _beside(here: _Here, verdict: Verdict, golden: Golden, stored: str) -> Verdict:
    """What follows from the entry of the environment *stored*."""
    entry = golden.tests[here.nodeid][stored]
    base = replace(here.base, stored=stored, unlike=unlike(here.fields, golden.environments[stored]))
    apart = list(differing(entry, here.seen))
    if base.unlike:
        base = replace(base, differing=tuple(_names(apart, entry, here)))
    if base.unlike and verdict.plan.tolerance is None:
        return replace(verdict, word="foreign-baseline", baseline=base)
    found = _compared(here, verdict, entry, stored)
    untold = [each.name for each in found if base.unlike and each.problem == "values" and not each.difference]
    told = tuple(each for each in found if each.name not in untold)
    series = steps(here.seen) if told else {}
    word: Word = "diverged" if told else "foreign-baseline" if untold else "reproduced"
    base = replace(base, untold=tuple(untold))
    return replace(verdict, word=word, mismatches=told, steps=series, baseline=base)


def _compared(here: _Here, verdict: Verdict, entry: Entry, stored: str) -> list[Mismatch]:
    beside, observed = values_beside(here.path), here.seen
    if (level := verdict.plan.level) is not None:
        kept = seen_at(level, {key: each.observation for key, each in observed.items()})
        entry = tuple(row for row in entry if row.key in kept or row.key not in observed)
        observed = {key: observed[key] for key in kept}
    try:
        with opened(beside) as tensors:
            close = verdict.plan.closeness()
            return compared(entry, observed, verdict.runs[0], stored, close, tensors)
    except ValueError as error:
        raise ValueError(f"has values that cannot be read: {beside.name} {error}") from None


def _lacks(here: _Here, golden: Golden, stored: str | None, most: int) -> bool:
    """Whether an entry for this environment, or a value that belongs to it, is still to be stored.

    An entry whose values are close but not equal stays as it is: else it would wander off step by step.
    """
    if stored is None or unlike(here.fields, golden.environments[stored]):
        return True
    if any(differing(golden.tests[here.nodeid][stored], here.seen)):
        return False
    return bool(lacking(values_beside(here.path), arrays_of(here.seen, most).keys()))


def _names(keys: Iterable[Key], entry: Entry, here: _Here) -> Iterator[str]:
    lengths = steps([*here.seen, *(row.key for row in entry)])
    return (label(key, lengths[key[0]] > 1) for key in keys)


def _plain(here: _Here, most: int) -> dict[str, Any]:
    golden = Golden({here.key: here.fields}, {here.nodeid: {here.key: entry_of(here.seen)}})
    return {"path": str(here.path), "text": text(golden), "values": written(arrays_of(here.seen, most))}


def send(item: pytest.Item, report: pytest.TestReport) -> None:
    """Hangs on the tear-down's report what is to be stored of *item*."""
    if pending := item.stash.get(_PENDING, {}):
        setattr(report, ATTRIBUTE, pending)
        item.stash[_PENDING] = {}
