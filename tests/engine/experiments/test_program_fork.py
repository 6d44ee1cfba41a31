"""A fork that imports a program and answers experiments."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from pytest_repro.axes import Interpreter
from pytest_repro.engine.experiments.fork import FORK_AVAILABLE
from pytest_repro.engine.experiments.program_fork import ProgramFork, find_server

pytestmark = pytest.mark.skipif(not FORK_AVAILABLE, reason="needs os.fork")

imports: list[int] = []


def serve(channel: Any, order: Mapping[str, Any]) -> None:
    """Imports a program, says so, and answers with the request, its process and the number of imports."""
    imports.append(os.getpid())
    channel.send(("ready", 1))
    while True:
        _, text, seconds, *rest = channel.receive()
        if text == "exit":
            raise SystemExit(order["why"])
        if text == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if text == "hang":
            time.sleep(60)
        channel.send(("tried", [text, seconds, *rest], os.getpid(), len(imports)))


@pytest.fixture
def fork(monkeypatch: pytest.MonkeyPatch) -> Iterator[ProgramFork]:
    monkeypatch.setattr("pytest_repro.engine.experiments.program_fork._GRACE", 0.2)
    fork = ProgramFork(serve, {"why": "enough"})
    yield fork
    fork.end()


def test_one_fork_imports_the_program_once_and_answers_all_experiments(fork: ProgramFork) -> None:
    long = "a long text" * 50_000  # more than a pipe holds
    answers = [fork.run_experiment(text, 30.0, "test_a.py::test_b", 0) for text in ("a", long)]
    assert [answer[1] for answer in answers] == [[text, 30.0, "test_a.py::test_b", 0] for text in ("a", long)]
    assert {answer[3] for answer in answers} == {1}
    assert len({answer[2] for answer in answers} - {os.getpid()}) == 1
    assert imports == []


@pytest.mark.parametrize(
    ("text", "why"),
    [("exit", "SystemExit: enough"), ("die", "died (SIGKILL)"), ("hang", "took too long")],
)
def test_a_fork_that_gives_no_answer_is_replaced_by_the_next_experiment(
    fork: ProgramFork, text: str, why: str
) -> None:
    first = fork.run_experiment("a", 30.0)[2]
    assert fork.run_experiment(text, 0.1 if text == "hang" else 30.0) == ("unknown", why)
    word, _, second, _ = fork.run_experiment("a", 30.0)
    assert (word, first != second) == ("tried", True)


def test_an_interpreter_is_its_own_where_fork_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    parent = Interpreter(name="parent")
    child = Interpreter(name="child", forked_from=parent)
    assert (find_server(child), find_server(parent)) == ((parent, "try_imported"), (parent, "try"))
    monkeypatch.setattr("pytest_repro.engine.experiments.program_fork.FORK_AVAILABLE", False)
    assert find_server(child) == (child, "try")


def test_a_program_that_cannot_be_imported_says_why() -> None:
    def refuse(channel: Any, order: Mapping[str, Any]) -> None:
        channel.send(("refused", "it has no tests"))

    assert ProgramFork(refuse, {}).run_experiment("a", 30.0) == ("refused", "it has no tests")
