"""``--repro-replay``: what tests take from outside is logged, or fed to them from a log.

With ``record`` the first run of each marked test is logged and all its later runs are fed from
that; what was logged goes to ``repro-replay.json``. With a path every run of a test that is in the
log is fed from it; a test that is not is treated as with ``record``, and not written.

Companions (other interpreters, for the axes ``process``, ``isa``, …) see the command line. Given a
path, they are fed from the same log. With ``record`` nothing is logged yet when they start, so each
logs for itself: its first run of a test takes fresh values, and differs from the runs here wherever
these values count. To compare interpreters under equal entropy, record first and give the path. One
that looks for a cause is told with each experiment what the test was fed with here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from pytest_repro.core.replay.external_input import Log
from pytest_repro.core.replay.log_file import plain, read, text, write
from pytest_repro.engine.replay.replay import WHOLE, Replay
from pytest_repro.plugin import SETTINGS

RECORD = "record"
FILE = "repro-replay.json"

_LOGS = pytest.StashKey[Mapping[str, Log]]()
_REPLAY = pytest.StashKey[Replay]()
_WRITTEN = pytest.StashKey[str]()


def load(config: pytest.Config) -> None:
    """Reads the log that runs are fed from.

    Raises:
        pytest.UsageError: It cannot be read; the message names the path and what is wrong.
    """
    given = config.stash[SETTINGS].replay
    if given is None or given == RECORD:
        return
    try:
        content = (config.invocation_params.dir / given).read_text("utf-8")
        config.stash[_LOGS] = read(content)
    except OSError as error:
        raise pytest.UsageError(f"--repro-replay={given}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise pytest.UsageError(f"--repro-replay={given}: {error}") from None


def replay_of(item: pytest.Item) -> Replay:
    """What feeds the runs of *item*, the same object as long as the session lasts."""
    if _REPLAY not in item.stash:
        log = item.config.stash.get(_LOGS, {}).get(item.nodeid)
        item.stash[_REPLAY] = _replay(item, {WHOLE: log} if log is not None else {})
    return item.stash[_REPLAY]


def _replay(item: pytest.Item, logs: Mapping[str, Log]) -> Replay:
    config = item.config
    return Replay(config.stash[SETTINGS].replay is not None, logs, f"{config.rootpath}{os.sep}")


def told_logs(item: pytest.Item) -> str:
    """What *item* is fed with here, for a companion that tries it; ``""`` where that is nothing."""
    logs = replay_of(item).logs
    return text({part: plain(log) for part, log in logs.items()}) if logs else ""


def take_logs(item: pytest.Item, said: str) -> None:
    """Has *item* fed with what :func:`told_logs` gave."""
    if said:
        item.stash[_REPLAY] = _replay(item, read(said))


def write_log(config: pytest.Config, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes what the tests of this session took from outside, where pytest was started.

    Args:
        config: Of the session.
        rows: Of its tests; where none has run nothing is written, and an older log stays.

    Raises:
        OSError: It cannot be written.
    """
    tests = {str(row["nodeid"]): row["replay"] for row in rows if "replay" in row}
    if tests:
        write(config.invocation_params.dir / FILE, text(dict(sorted(tests.items()))))
        calls = sum(len(test["calls"]) for test in tests.values())
        told = f"{calls} call{'s' * (calls != 1)} of {len(tests)} test{'s' * (len(tests) != 1)}"
        config.stash[_WRITTEN] = f"replay    {told} logged: --repro-replay={FILE} feeds them again"


def told(config: pytest.Config) -> list[str]:
    """The line that says where the log is."""
    found = config.stash.get(_WRITTEN, "")
    return [found] if found else []
