"""Where a long test is: seen on a terminal while it goes on, and gone without a trace afterwards."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence

import pytest

from tests.conftest import Project
from tests.plugin.peers import needs

pytest.importorskip("pty")

_PART = re.compile(r"\x1b\[\??(\d*)(?:;\d+)*([A-Za-z])|\x1b([D78])|([\r\n])|([^\x1b\r\n]+)")


class Screen:
    """A terminal of 80 columns, as far as it is used here: what it shows, and what it once showed."""

    def __init__(self) -> None:
        self.lines, self.seen = [""], set[str]()
        self._row = self._column = 0
        self._saved = 0, 0

    def feed(self, text: str) -> Screen:
        for number, letter, short, move, plain in _PART.findall(text):
            if plain:
                self._print(plain)
            elif move or short == "D":
                self._row += move != "\r"
                self._column = 0 if move == "\r" else self._column
                self.lines += [""] * (self._row + 1 - len(self.lines))
            elif short == "7":
                self._saved = self._row, self._column
            elif short == "8":
                self._row, self._column = self._saved
            else:
                self._act(number, letter)
            self.seen.update(self.lines)
        return self

    def _print(self, text: str) -> None:
        line = self.lines[self._row].ljust(self._column)
        self.lines[self._row] = line[: self._column] + text + line[self._column + len(text) :]
        self._column += len(text)

    def _act(self, number: str, letter: str) -> None:
        if letter in "AB":
            self._row += -1 if letter == "A" else 1
        elif letter == "J":
            self.lines[self._row :] = [self.lines[self._row][: self._column]]
        elif letter == "K":
            self.lines[self._row] = "" if number == "2" else self.lines[self._row][: self._column]
        else:
            assert letter in "mhl", f"the screen knows no {letter!r}"

    @property
    def left(self) -> list[str]:
        """What it shows at the end, but for the times."""
        return [re.sub(r"\d+\.\d\ds|=", "", line).rstrip() for line in self.lines]


CONFTEST = """
import os
import pytest_repro.plugin.run.progress as progress
progress.LONG_TEST = float(os.environ["LONG_TEST"])
"""
# One process has imported pytest and numpy, and forks a session for each of the calls.
TERMINALS = """
import importlib, json, os, pty, sys
import numpy, pytest, _pytest.config
for name in _pytest.config.default_plugins: importlib.import_module("_pytest." + name)
for arguments, variables in json.loads(sys.argv[1]):
    child, terminal = pty.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdout, sys.stderr = open(1, "w", buffering=1), open(2, "w", buffering=1)
        os.environ.update(variables)
        status = pytest.main(arguments)
        sys.stdout.flush()
        os._exit(int(status))
    written = b""
    try:
        while piece := os.read(terminal, 65536): written += piece
    except OSError:  # on Linux the end of a terminal is an error
        pass
    os.close(terminal)
    os.waitpid(child, 0)
    print(json.dumps(written.decode()), flush=True)
"""


def on_terminals(project: Project, *sessions: tuple[str, Sequence[str], Sequence[str]]) -> list[Screen]:
    """What terminals show of sessions: seconds from which on a test is long, options, variables."""
    project.write(conftest=CONFTEST)
    loaded = ["-p", "no:cacheprovider", "-p", "repro", "-p", "repro_marker"]
    calls = [
        ([*loaded, *options], {"LONG_TEST": long, **dict(each.split("=") for each in env)})
        for long, options, env in sessions
    ]
    command = [sys.executable, "-c", TERMINALS, json.dumps(calls)]
    variables = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    run = subprocess.run(
        command, cwd=project.pytester.path, env=variables, stdout=subprocess.PIPE, text=True, check=True
    )
    return [Screen().feed(json.loads(line)) for line in run.stdout.splitlines()]


def on_terminal(project: Project, long: str, *args: str) -> Screen:
    (screen,) = on_terminals(project, (long, args, ()))
    return screen


SOURCE = """
import pytest
def test_first(repro): repro.record(x=1)
@pytest.mark.reproducible(runs=3)
def test_prints(repro, capsys):
    print("captured")
    with capsys.disabled():
        print("past the capturing,", end=" ")
        print("over\\ntwo lines")
    repro.record(x=1)
class TestSubtests:
    def test_subtests(self, repro, SUBTESTS):
        for n in range(2):
            with SUBTESTS.test(n=n): pass
        repro.record(x=1)
@pytest.fixture
def broken(): raise RuntimeError("in set-up")
@pytest.mark.xfail
def test_set_up(broken, repro): pass
@pytest.mark.xfail
def test_fails(repro): assert repro.run < 0
def test_plain(): print("plain")
""".replace("SUBTESTS", "subtests" if pytest.version_tuple >= (9, 0) else "record_property")
if pytest.version_tuple < (9, 0):
    SOURCE = SOURCE.replace("with record_property.test(n=n): pass", "pass")


OPTIONS = [
    [], ["-v"], ["-s"], ["-s", "-v"], ["--no-header", "-vv"], ["--setup-show"], ["-rA", "--tb=no"],
    ["--log-cli-level=INFO"], ["--capture=sys"], ["--capture=tee-sys"], ["-x", "--runxfail"],
]  # fmt: skip


def test_nothing_is_left_of_it(project: Project) -> None:
    project.pytester.makepyfile(test_it=SOURCE)
    screens = on_terminals(project, *((long, args, ()) for args in OPTIONS for long in ("0", "1e9")))
    for args, shown, plain in zip(OPTIONS, screens[::2], screens[1::2], strict=True):
        assert shown.left == plain.left, args
        assert any(line.startswith("test_prints: run 2 of 3, ") for line in shown.seen), (args, shown.seen)
        assert not any(": run " in line for line in plain.seen), args
        muted = "-s" in args or "--capture=tee-sys" in args or "--setup-show" in args
        last = any(line.startswith("test_prints: run 3 of 3, ") for line in shown.seen)
        assert muted is not last, args


def test_where_nobody_asks_for_it_there_is_none(project: Project) -> None:
    project.pytester.makepyfile(test_it=SOURCE)
    sessions: list[tuple[str, list[str], list[str]]] = [
        ("0", ["-q"], []), ("0", [], ["TERM=dumb"]), ("0", ["-p", "no:terminal"], []),
    ]  # fmt: skip
    for shown in on_terminals(project, *sessions):
        assert not any(": run " in line for line in shown.seen)


def test_without_a_terminal_there_is_none(project: Project) -> None:
    project.write(conftest="import pytest_repro.plugin.run.progress as progress\nprogress.LONG_TEST = 0\n")
    project(SOURCE, "--repro-vary=process").check(passed=4, lacks=["run 2 of", "\x1b"])


def test_a_companion_a_value_and_the_search_for_a_cause_are_told(project: Project) -> None:
    project.pytester.makepyfile(
        test_it="""
        import os, numpy, pytest
        import pytest_repro.companions.companion as companion
        companion._POLL_INTERVAL = 0.01
        @pytest.mark.reproducible(process=True, memory=(0, 1))
        def test_a(repro): repro.record(x=os.environ.get("PYTHONHASHSEED"))
        """
    )
    project.ini("[tool.pytest.ini_options]\nrepro_control = true")
    seen = on_terminal(project, "0").seen
    for says in (
        "test_a: starting process 1 (PYTHONHASHSEED=1)",
        "test_a: collecting in process 1 (PYTHONHASHSEED=1), ",
        "test_a: run 1 of 3, ",
        "test_a: run 2 of 3 (1 in fresh memory), ",
        "test_a: seed check with seed 1, ",
        "test_a: run 3 of 3, ",
        "test_a: starting 2 interpreters",
    ):
        assert any(line.startswith(says) for line in seen), (says, sorted(s for s in seen if ": " in s))


def test_a_name_wider_than_the_terminal_is_cut(project: Project) -> None:
    name = "test_" + "long_" * 30
    project.pytester.makepyfile(test_it=f"def {name}(repro): repro.record(x=1)")
    seen = on_terminal(project, "0", "--no-header").seen
    assert name[:79] in seen
    assert name[:80] not in seen


@needs("xdist")
def test_workers_show_none(project: Project) -> None:
    project.pytester.makepyfile(test_it=SOURCE.replace("capsys.disabled()", "pytest.MonkeyPatch.context()"))
    assert not any(": run " in line for line in on_terminal(project, "0", "-p", "xdist", "-n1").seen)


DRAWS = """
import numpy
def test_drawn(repro): repro.record(x=numpy.random.default_rng().random())
def test_same(repro): repro.record(x=1)
"""


def test_a_long_diagnosis_is_announced_where_there_is_no_terminal(project: Project) -> None:
    project.inquires = True
    project.write(conftest="import pytest_repro.plugin.run.progress as progress\nprogress.LONG_DIAGNOSIS = 0")
    notice = "pytest-repro is looking for what makes test_it.py::test_drawn differ"
    result = project(DRAWS, "--no-summary", subprocess=True)
    assert [line for line in result.run.errlines if line] == [
        f"{notice}; --repro-diagnose=never leaves that out"
    ]
    assert notice not in result.run.stdout.str()
    assert (
        "test_it.py F.                                                            [100%]"
        in result.run.outlines
    )
    assert project.again("-q", subprocess=True).run.errlines == []
    project.write(conftest="")
    assert project.again(subprocess=True).run.errlines == []


@needs("xdist")
def test_workers_announce_no_diagnosis(project: Project) -> None:
    project.inquires = True
    project.write(conftest="import pytest_repro.plugin.run.progress as progress\nprogress.LONG_DIAGNOSIS = 0")
    assert project(DRAWS, "-n1", plugins=["xdist"], subprocess=True).run.errlines == []
