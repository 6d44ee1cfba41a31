"""What a companion is told of itself: what a worker of pytest-xdist would be told.

Plugins that write reports, number databases or share a seed know such workers, and keep out of
the way there; they need not learn of companions as well.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_repro.plugin import SETTINGS, peers


def workerinput(config: pytest.Config, cell_name: str) -> dict[str, Any]:
    """The ``config.workerinput`` of the companion for *cell_name*, plain data.

    Args:
        config: Of this session, which may be a worker's itself.
        cell_name: ``"process 1"``.
    """
    own = dict(getattr(config, "workerinput", {}))
    name = re.sub(r"\W+", "-", f"repro {cell_name}")
    told = {"workerid": f"{own['workerid']}-{name}" if own else name}
    node: Any = SimpleNamespace(config=config, workerinput={**own, **told})
    node.gateway = SimpleNamespace(id=told["workerid"])
    if not own:
        _ask_plugins(config, node)
    node.workerinput.update(peers.worker(config))
    node.workerinput["repro_seed"] = config.stash[SETTINGS].plan.seed
    return {key: value for key, value in node.workerinput.items() if _plain(value)}


def _ask_plugins(config: pytest.Config, node: Any) -> None:
    """What plugins tell their workers; one that wants more of a node than there is tells nothing."""
    node.workerinput.update(workercount=1, testrunuid="repro", mainargv=["pytest"])
    for impl in config.hook.pytest_configure_node.get_hookimpls():
        with suppress(Exception):
            impl.function(*[{"node": node}[name] for name in impl.argnames])


def _plain(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_plain, value))
    return value is None or isinstance(value, (str, bytes, bool, int, float))


def _uncaptured(config: pytest.Config) -> list[str]:
    """What is written to the file descriptors is not captured there: a crash would take it along."""
    return ["--capture=sys"] if config.getoption("capture", None) == "fd" else []


def order(config: pytest.Config, cell_name: str, local: bool, basetemp: str) -> dict[str, Any]:
    """What a companion is started with, plain data.

    Args:
        config: Of this session.
        cell_name: ``"process 1"``.
        local: Whether it has this process's file system.
        basetemp: Where its temporary folders go, if it has.
    """
    told = workerinput(config, cell_name)
    return {
        "serve": "pytest_repro.plugin.companion",
        "chdir": str(config.invocation_params.dir) if local else "",
        "args": [*map(os.fspath, config.invocation_params.args), *_uncaptured(config)],
        "workerinput": told,
        "basetemp": os.path.join(basetemp, told["workerid"]) if local else "",
    }
