"""``--repro-replay``: logs the external input of tests, or replays it from a log.

With ``record`` the first run of each marked test is logged and its later runs replay that log, which
is written to ``repro-replay.json``. With a path every run of a test in the log replays it; a test that
is not in the log is treated as with ``record``, and not written.

Companions (other interpreters, for the axes ``process``, ``isa``, …) see the command line. Given a
path, they replay the same log. With ``record`` nothing is logged when they start, so each logs for
itself: its first run of a test gets fresh values, and differs from the runs here where these values
matter. To compare interpreters under equal entropy, record first and give the path. For a diagnosis
the log travels with each experiment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from pytest_repro.engine.replay import WHOLE_RUN, Replay
from pytest_repro.plugin.stash import SETTINGS

if TYPE_CHECKING:
    from pytest_repro.core.replay import ReplayLog

RECORD_MODE = "record"
LOG_FILE = "repro-replay.json"

_LOGS: pytest.StashKey[Mapping[str, ReplayLog]] = pytest.StashKey()
_REPLAY = pytest.StashKey[Replay]()
_SUMMARY_LINE = pytest.StashKey[str]()


def load_log(config: pytest.Config) -> None:
    """Reads the log to replay.

    Raises:
        pytest.UsageError: It cannot be read; the message names the path and the problem.
    """
    given = config.stash[SETTINGS].replay
    if given is None or given == RECORD_MODE:
        return
    from pytest_repro.core.replay import read_logs

    try:
        content = (config.invocation_params.dir / given).read_text("utf-8")
        config.stash[_LOGS] = read_logs(content)
    except OSError as error:
        raise pytest.UsageError(f"--repro-replay={given}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise pytest.UsageError(f"--repro-replay={given}: {error}") from None


def get_replay(item: pytest.Item) -> Replay:
    """The replay of *item*, the same object for the whole session."""
    if _REPLAY not in item.stash:
        log = item.config.stash.get(_LOGS, {}).get(item.nodeid)
        item.stash[_REPLAY] = _make_replay(item, {WHOLE_RUN: log} if log is not None else {})
    return item.stash[_REPLAY]


def _make_replay(item: pytest.Item, logs: Mapping[str, ReplayLog]) -> Replay:
    config = item.config
    return Replay(config.stash[SETTINGS].replay is not None, logs, f"{config.rootpath}{os.sep}")


def encode_logs(item: pytest.Item) -> str:
    """The logs of *item* for a companion that diagnoses it; ``""`` if there are none."""
    logs = get_replay(item).logs
    if not logs:
        return ""
    from pytest_repro.core.replay import encode_log, format_logs

    return format_logs({part: encode_log(log) for part, log in logs.items()})


def restore_logs(item: pytest.Item, encoded: str) -> None:
    """Makes *item* replay the logs from :func:`encode_logs`."""
    if encoded:
        from pytest_repro.core.replay import read_logs

        item.stash[_REPLAY] = _make_replay(item, read_logs(encoded))


def write_log(config: pytest.Config, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes the external input of this session's tests to the folder where pytest was started.

    Args:
        rows: Rows of its tests; without any, nothing is written and an older log stays.

    Raises:
        OSError: The log cannot be written.
    """
    tests = {str(row["nodeid"]): row["replay"] for row in rows if "replay" in row}
    if tests:
        from pytest_repro.core.files import replace_file
        from pytest_repro.core.replay import format_logs

        replace_file(config.invocation_params.dir / LOG_FILE, [format_logs(dict(sorted(tests.items())))])
        calls = sum(len(test["calls"]) for test in tests.values())
        counts = f"{calls} call{'s' * (calls != 1)} of {len(tests)} test{'s' * (len(tests) != 1)}"
        config.stash[_SUMMARY_LINE] = f"replay    {counts} logged: --repro-replay={LOG_FILE} feeds them again"


def get_summary_lines(config: pytest.Config) -> list[str]:
    """The summary line that says where the log is."""
    found = config.stash.get(_SUMMARY_LINE, "")
    return [found] if found else []
