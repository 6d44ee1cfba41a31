"""pytest's internals: the only module that imports ``_pytest``."""

from __future__ import annotations

import copy
import io
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from _pytest._code.code import ExceptionChainRepr, ReprEntry, ReprFileLocation, ReprTraceback
from _pytest._io import TerminalWriter
from _pytest.config import _prepareconfig
from _pytest.junitxml import xml_key
from _pytest.runner import runtestprotocol
from _pytest.terminal import TerminalReporter
from _pytest.tmpdir import tmppath_result_key

try:
    from _pytest.subtests import failed_subtests_key
except ImportError:  # before pytest 9.0
    failed_subtests_key: Any = None  # type: ignore[no-redef]

if TYPE_CHECKING:
    from pytest_repro.core.diagnose import StateRoot

PASSED_PHASES = tmppath_result_key
"""Of an item: phase → whether it passed, for the fixture ``tmp_path``."""


def copy_as_next(item: pytest.Item) -> pytest.Item:
    """A next item for runs of *item* and its siblings; None would end the fixtures of the module too."""
    copied: Any = copy.copy(item)
    copied.funcargs, copied._request = None, False  # values of fixtures, which a run must not outlive
    return copied  # type: ignore[no-any-return]


def run_and_report_silently(item: pytest.Item, nextitem: pytest.Item) -> list[pytest.TestReport]:
    """Runs the three phases of *item*; returns the reports, which nobody else sees."""
    return runtestprotocol(item, log=False, nextitem=nextitem)


def prepare_config(args: list[str], basetemp: str | None) -> pytest.Config:
    """The configuration of a companion's session.

    Debuggers and workers of pytest-xdist belong to the main session.

    Args:
        args: The command line.
        basetemp: Folder for temporary files.
    """
    # A companion imports this package before pytest, which would have rewritten its assertions.
    known = "ignore:Module already imported so cannot be rewritten:pytest.PytestAssertRewriteWarning"
    config = _prepareconfig([*args, "-W", known], None)
    quiet = {
        "usepdb": False, "trace": False, "looponfail": False, "dist": "no", "distload": False,
        "loadgroup": False, "numprocesses": None, "maxprocesses": None, "basetemp": basetemp,
        "log_file": os.devnull, "cacheclear": False,
    }  # fmt: skip
    vars(config.option).update(quiet)
    return config


def mute_terminal(config: pytest.Config) -> None:
    """Mutes the terminal reporter, which stays for those who need it (pytest-timeout)."""
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # until the process ends
        reporter._tw = TerminalWriter(nowhere)


def unregister_terminal(config: pytest.Config) -> None:
    """Unregisters the terminal reporter: for its summary, Hypothesis imports itself, 1.3 s of CPU."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        config.pluginmanager.unregister(reporter)


class Terminal:
    """The terminal of pytest's own reporter.

    Attributes:
        width: In columns.
    """

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    @property
    def width(self) -> int:
        return int(self._writer.fullwidth)

    def write(self, text: str) -> None:
        """Writes *text* past the reporter, which counts what is on its line."""
        file = self._writer._file
        file.write(text.encode(file.encoding or "ascii", "replace").decode(file.encoding or "ascii"))
        file.flush()


def find_terminal(config: pytest.Config) -> Terminal | None:
    """The terminal, if pytest's own reporter writes to one that can move its cursor, and is not quiet.

    Reporters of other plugins draw as they like: they are left alone.
    """
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if type(reporter) is not TerminalReporter or not reporter.isatty or config.get_verbosity() < 0:
        return None
    moves = os.name != "nt" and os.environ.get("TERM", "dumb") != "dumb"
    return Terminal(reporter._tw) if moves else None


def teardown_for_next(session: pytest.Session, nextitem: pytest.Item | None) -> None:
    """Tears down what *nextitem* does not need: everything for None."""
    setup: Any = session._setupstate
    setup.teardown_exact(nextitem)


def get_temporary_folder_factory(config: Any) -> Any:
    """What makes the temporary folders of this session; None if that is switched off."""
    return getattr(config, "_tmp_path_factory", None)


def get_basetemp(config: pytest.Config) -> str:
    """The folder for temporary files of this session; ``""`` if there is none."""
    factory = get_temporary_folder_factory(config)
    return str(factory.getbasetemp()) if factory is not None else ""


def set_failed_subtests(item: Any, number: int) -> int:
    """Sets how many subtests of *item* failed, which pytest counts over all runs; returns how many had."""
    counts = {} if failed_subtests_key is None else item.config.stash.get(failed_subtests_key, {})
    test = getattr(item, "id", None) or item.nodeid  # not a text from pytest 9.2 on
    before = int(counts.pop(test, 0))
    if number:
        counts[test] = number
    return before


def add_failed_subtests(item: pytest.Item, number: int) -> None:
    """Counts subtests of *item* that failed in ranks: pytest then fails the test."""
    set_failed_subtests(item, set_failed_subtests(item, 0) + number)


def encode_report(config: pytest.Config, report: pytest.TestReport) -> str:
    """*report* as JSON text for another process."""
    plain = config.hook.pytest_report_to_serializable(config=config, report=report)
    return json.dumps(plain, default=str)


def decode_subtest_report(config: pytest.Config, rank: int, text: str) -> Any:
    """The report of a subtest from :func:`encode_report`, with its *rank* in the name."""
    data = json.loads(text)
    report: Any = config.hook.pytest_report_from_serializable(config=config, data=data)
    context = data["_subtest.context"]
    # Its class would format each value with repr, which they already are.
    object.__setattr__(report.context, "kwargs", {"rank": str(rank), **context["kwargs"]})
    return report


def get_suite_properties(config: pytest.Config) -> Any:
    """Suite properties of the JUnit report."""
    return getattr(config.stash.get(xml_key, None), "global_properties", [])


def is_autouse(fixturedef: Any, session: Any) -> bool:
    """Whether a fixture is autouse: used for its effect, not its value."""
    known = getattr(fixturedef, "_autouse", None)
    if known is None:  # before pytest 8.4
        names = session._fixturemanager._nodeid_autousenames.values()
        known = any(fixturedef.argname in each for each in names)
    return bool(known)


def find_outliving_roots(item: Any) -> dict[str, StateRoot]:
    """What a run of *item* can leave for the next: fixtures wider than it, and parameters."""
    from pytest_repro.core.diagnose import StateRoot

    found: dict[str, StateRoot] = {}
    known = getattr(item, "funcargs", None) or {}
    for name, defs in getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {}).items():
        if defs[-1].scope != "function" and name in known:
            found[f"fixture {name}"] = StateRoot(known[name], _locate_function(defs[-1].func))
    path, line, _ = item.reportinfo()
    for name, value in getattr(getattr(item, "callspec", None), "params", {}).items():
        found[f"parameter {name}"] = StateRoot(value, f"{path}:{(line or 0) + 1}")
    return found


def _locate_function(function: Any) -> str:
    code = getattr(function, "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else ""


def get_raw_ini(config: Any, name: str) -> object:
    """A value of the ini file as written, whatever its type."""
    values = config._inicfg if hasattr(config, "_inicfg") else config.inicfg
    found = values.get(name)
    return getattr(found, "value", found)


def is_setup_only(config: pytest.Config) -> bool:
    """Whether tests are not called: ``--setup-only``, ``--setup-plan``."""
    return bool(config.getoption("setuponly", False) or config.getoption("setupplan", False))


def format_longrepr(longrepr: Any) -> str:
    """A failure as pytest prints it; ``str`` would lose the first line's indentation."""
    if not hasattr(longrepr, "toterminal"):
        return str(longrepr)
    text = io.StringIO()
    longrepr.toterminal(TerminalWriter(text))
    return text.getvalue().strip("\n")


def make_plain_repr(text: str, path: str, line: int, message: str) -> ExceptionChainRepr:
    """A failure shown by *text* alone, without a traceback.

    Args:
        text: The text.
        path: File of the test.
        line: Its line, from 1.
        message: Shown in one-line summaries and JUnit.
    """
    entry = ReprEntry(text.split("\n"), None, None, None, "value")
    shown = ReprTraceback([entry], None, "value")
    return ExceptionChainRepr([(shown, ReprFileLocation(path, line, message), None)])


def print_session_error(config: pytest.Config, message: str) -> None:
    """Writes an error of the session, after its summary."""
    terminal: Any = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None:
        terminal.line("")
        terminal.write_line(f"ERROR: {message}", red=True)
