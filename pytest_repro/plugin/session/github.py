"""Reports failures to GitHub Actions, after the terminal's summary; only in the controller."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator

import pytest

from pytest_repro.plugin.stash import ROWS, SETTINGS

_PLUGIN_NAME = "repro-github"
_SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"


def register_github(config: pytest.Config) -> None:
    """Makes this session report to GitHub."""
    config.pluginmanager.register(GitHubReporter(), _PLUGIN_NAME)


class GitHubReporter:
    """Writes annotations to the terminal, and a summary to the file that GitHub names."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Runs after every other hook, after the terminal's last line."""
        result = yield
        if session.config.stash.get(ROWS, None):
            terminal = session.config.pluginmanager.get_plugin("terminalreporter")
            for line in _format_lines(session.config):
                if terminal is not None:
                    terminal.write_line(line)
        return result


def _format_lines(config: pytest.Config) -> Iterator[str]:
    """Lines for the terminal: annotations, and an error if the summary could not be written."""
    from pytest_repro.plugin.session.rows import get_rows
    from pytest_repro.reports.github import format_annotations

    rows = get_rows(config)
    yield from format_annotations(rows, _find_relative_root(config))
    path = os.environ.get(_SUMMARY_VARIABLE, "")
    if path:
        try:
            _append_summary(config, path)
        except OSError as error:  # the results are in the log all the same
            yield f"WARNING: the summary of this step ({_SUMMARY_VARIABLE}={path}) cannot be written: {error}"


def _find_relative_root(config: pytest.Config) -> str:
    """The path from the repository to rootdir, to which the report's paths are relative."""
    root = os.path.realpath(config.rootpath)
    workspace = os.path.realpath(os.environ.get("GITHUB_WORKSPACE") or root)
    try:
        return os.path.relpath(root, workspace).replace(os.sep, "/")
    except ValueError:  # on another drive of Windows
        return root.replace(os.sep, "/")


def _append_summary(config: pytest.Config, path: str) -> None:
    """Appends to what other sessions of this step have written.

    Raises:
        OSError: The file cannot be written.
    """
    from pytest_repro.plugin.session.rows import get_environment, get_rows
    from pytest_repro.reports.github import MAX_SUMMARY_BYTES, format_summary

    room = MAX_SUMMARY_BYTES - (os.path.getsize(path) if os.path.exists(path) else 0)
    if room < 20_000:
        raise OSError(f"{MAX_SUMMARY_BYTES - room:,} bytes are in it, and GitHub takes no more than 1 MiB")
    text = format_summary(get_rows(config), get_environment(config), config.stash[SETTINGS].seed, room)
    with open(path, "a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
