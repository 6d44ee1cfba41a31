"""``--repro-require``: a session that compared too few tests fails; so no gate passes empty."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_repro.plugin import SETTINGS
from pytest_repro.plugin.pytest_internals import only_shown
from pytest_repro.reports.session.summary import too_few

_NAME = "repro-gate"


def watch(config: pytest.Config) -> None:
    """Has the session fail that compares too few tests; its workers and companions are but parts of it."""
    if hasattr(config, "workerinput") or config.getoption("collectonly", False) or only_shown(config):
        return
    config.pluginmanager.register(Gate(), _NAME)


def told(config: pytest.Config) -> str:
    """Why the session fails by this; ``""`` where it does not."""
    found: Any = config.pluginmanager.get_plugin(_NAME)
    if found is None:
        return ""
    found.said = True
    return str(found.why)


class Gate:
    """Counts what was compared.

    Attributes:
        why: Why the session fails; ``""`` while it does not.
        said: Whether the section of the session has said so.
    """

    def __init__(self) -> None:
        self.why, self.said, self._ran = "", False, False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> None:
        """Takes note that tests were to run: ``--fixtures`` and ``--cache-show`` are sessions as well."""
        self._ran = True

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fails a session that has not failed; of one that was broken off, nothing is said."""
        from pytest_repro.plugin.session.rows import rows_of

        ended = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
        if not self._ran or session.exitstatus not in ended:
            return
        config = session.config
        required = config.stash[SETTINGS].require
        commanded = config.getoption("repro_require", None) is not None
        asked = f"--repro-require={required}" if commanded else f"repro_require = {required}"
        self.why = too_few(rows_of(config), required, asked)
        if self.why and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """Says it where there was no section: until pytest 9.2 ``--no-summary`` left that out."""
        from pytest_repro.plugin.session.session_end import complain

        if self.why and not self.said:
            complain(config, self.why)
