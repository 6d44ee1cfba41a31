"""Suspending a cause removes its differences, and nothing else."""

from __future__ import annotations

import asyncio
import builtins
import concurrent.futures
import copyreg
import datetime
import glob
import multiprocessing.pool
import os
import pathlib
import random
import secrets
import sys
import tempfile
import threading
import time
import timeit
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import pytest

from pytest_repro.adapters import digest
from pytest_repro.axes import apply_setting
from pytest_repro.causes import find_all_targets, get_cause, list_cause_names
from pytest_repro.interpose.call_log import log_calls
from tests.causes import programs
from tests.causes.programs import PROGRAMS

torch: Any = pytest.importorskip("torch")

HERE = sorted(PROGRAMS)
CASES = [(cause, name) for cause, table in PROGRAMS.items() for name in table]
OTHERS = [(cause, name, other) for cause, name in CASES for other in HERE if other != cause]

PLACES: list[Any] = [
    asyncio, asyncio.BaseEventLoop, builtins, concurrent.futures, concurrent.futures.ThreadPoolExecutor,
    copyreg.dispatch_table, datetime, glob, multiprocessing.pool, multiprocessing.pool.Pool,
    multiprocessing.pool.ThreadPool, multiprocessing.Process.__base__, np, np.random, os, pathlib,
    pathlib.Path, programs, random, random.Random, random.SystemRandom, secrets, sys.modules[__name__],
    tempfile, threading, threading.Thread, time, timeit, torch, torch.Tensor, torch.cuda, torch.random, uuid,
    getattr(np.random, "bit_generator", np.random),
]  # fmt: skip


def held() -> list[dict[Any, int]]:
    """The identity of everything that a suspension could replace."""
    tempfile.gettempdir()
    uuid.getnode()
    _ = concurrent.futures.ProcessPoolExecutor  # imported, and put there, when it is first asked for
    found = [place if isinstance(place, dict) else vars(place) for place in PLACES]
    return [{name: id(value) for name, value in each.items() if name not in _MOVES} for each in found]


# What real calls leave there, replaced or not; and what pytest sets while a test runs.
_MOVES = {"_last_timestamp", "_name_sequence", "__builtins__", "_", "environ", "_nodes", "_abc_impl"}


def run(cause: str, name: str, suspended: str | None, listens: bool = False) -> list[Any]:
    """The results of two runs, with another order of listings in each."""
    found = []
    for number in (1, 2):
        with ExitStack() as stack:
            stack.enter_context(apply_setting({"order": number}))
            if suspended is not None:
                stack.enter_context(get_cause(suspended).suspend(0))
            if listens:
                stack.enter_context(log_calls(find_all_targets()))
            found.append(PROGRAMS[cause][name](number))
    return found


@pytest.mark.parametrize(("cause", "name"), CASES)
def test_suspending_the_cause_makes_runs_equal(cause: str, name: str) -> None:
    before = held()
    first, second = run(cause, name, None)
    assert first != second
    first, second = run(cause, name, cause)
    assert first == second
    assert held() == before


@pytest.mark.parametrize(("cause", "name"), CASES)
def test_call_log_inside_a_suspension_changes_nothing(cause: str, name: str) -> None:
    first, second = run(cause, name, cause, listens=True)
    assert first == second
    with log_calls(get_cause(cause).find_targets()) as ledger:
        PROGRAMS[cause][name](1)
    assert {call.cause for call in ledger.calls} == {cause}
    location, explanation, fix = get_cause(cause).explain(ledger.calls)
    assert location.startswith(programs.__file__)
    assert explanation
    assert fix


@pytest.mark.parametrize(("cause", "name", "other"), OTHERS)
def test_suspending_another_cause_leaves_runs_different(cause: str, name: str, other: str) -> None:
    first, second = run(cause, name, other)
    assert first != second


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("cause", HERE)
def test_everything_is_restored_after_an_error(cause: str, error: type[BaseException]) -> None:
    before = held()
    with pytest.raises(error), get_cause(cause).suspend(0):
        assert held() != before or cause == "uninitialised-memory"
        raise error
    assert held() == before


def test_call_log_is_restored_and_changes_no_draws() -> None:
    before, states = held(), (random.getstate(), torch.get_rng_state(), legacy()[1])
    with pytest.raises(ValueError), log_calls(find_all_targets()):
        assert held() != before
        raise ValueError
    assert held() == before
    assert (random.getstate(), digest(torch.get_rng_state())) == (states[0], digest(states[1]))
    assert digest(legacy()[1]) == digest(states[2])


def legacy() -> Any:
    return np.random.get_state()


def trained() -> str:
    """Ten steps of a seeded torch training."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Dropout(), torch.nn.Linear(16, 1)
    )
    data = torch.utils.data.TensorDataset(torch.randn(64, 8), torch.randn(64, 1))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    loader = torch.utils.data.DataLoader(data, 8, shuffle=True, generator=torch.Generator().manual_seed(1))
    for x, y in [*loader, *loader][:10]:
        optimizer.zero_grad()
        loss: Any = torch.nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
    return digest({"model": model, "optimizer": optimizer})


def fitted() -> str:
    """Seeded fits of scikit-learn, of the forest in threads."""
    ensemble = pytest.importorskip("sklearn.ensemble")
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(80, 5)), rng.integers(0, 2, 80)
    forest = ensemble.RandomForestClassifier(8, random_state=0, n_jobs=2).fit(x, y)
    logistic = linear.LogisticRegression(solver="saga", random_state=0, max_iter=5000).fit(x, y)
    return digest([forest.predict_proba(x), logistic.coef_])


@contextmanager
def nothing_else(cause: str) -> Iterator[None]:
    context = log_calls(find_all_targets()) if cause == "listening" else get_cause(cause).suspend(0)
    with context:
        yield


@pytest.mark.parametrize("cause", ["listening", *list_cause_names()])
@pytest.mark.parametrize("program", [trained, fitted])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_reproducible_programs_are_unchanged(cause: str, program: Callable[[], str]) -> None:
    before = torch.get_rng_state()
    expected = program()
    with nothing_else(cause):
        found = program()
    torch.set_rng_state(before)
    assert found == expected
