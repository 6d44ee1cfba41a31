"""``--repro-require``: fails a session that compared too few tests, so that no gate passes empty."""

from __future__ import annotations

import pytest

from pytest_repro.plugin.pytest_internals import is_setup_only, print_session_error
from pytest_repro.plugin.session.rows import get_rows
from pytest_repro.plugin.stash import SETTINGS
from pytest_repro.plugin.workerinput import is_reporting
from pytest_repro.reports.summary import count_compared, format_too_few

_PLUGIN_NAME = "repro-gate"


def register_gate(config: pytest.Config) -> None:
    """Registers the gate, in the main session only."""
    if not is_reporting(config) or config.getoption("collectonly", False) or is_setup_only(config):
        return
    config.pluginmanager.register(RequireGate(), _PLUGIN_NAME)


def take_failure_text(config: pytest.Config) -> str:
    """Why the session fails by it; ``""`` if it does not."""
    found = config.pluginmanager.get_plugin(_PLUGIN_NAME)
    if not isinstance(found, RequireGate):
        return ""
    found.is_reported = True
    return found.failure_text


class RequireGate:
    """Counts the compared tests.

    Attributes:
        failure_text: Why the session fails; ``""`` while it does not.
        is_reported: Whether the session's summary has said so.
    """

    def __init__(self) -> None:
        self.failure_text, self.is_reported, self._loop_started = "", False, False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> None:
        """Notes that tests are run: ``--fixtures`` and ``--cache-show`` are sessions too."""
        self._loop_started = True

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fails a session that has not failed or been interrupted."""
        ended = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
        if not self._loop_started or session.exitstatus not in ended:
            return
        config = session.config
        settings = config.stash[SETTINGS]
        required, requirement = settings.require, f"--repro-require={settings.require}"
        if config.getoption("repro_require", None) is None:
            is_of_profile = "--repro-require" in settings.profiles.get(settings.profile, "")
            in_ini_file = f"repro_require = {required}"
            requirement = f"{requirement} (profile {settings.profile})" if is_of_profile else in_ini_file
        self.failure_text = format_too_few(count_compared(get_rows(config)), required, requirement)
        if self.failure_text and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """Says it where there was no summary: before pytest 9.2, ``--no-summary`` left it out."""
        if self.failure_text and not self.is_reported:
            print_session_error(config, self.failure_text)
