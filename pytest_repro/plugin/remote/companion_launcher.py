"""Starts companions as pytest-xdist starts its workers.

Plugins that write reports, number databases or share a seed recognize such workers and stay quiet in
them. They need not know companions.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from pytest_repro.axes import Interpreter
from pytest_repro.companions.companion import Companion
from pytest_repro.companions.start_state import StartState
from pytest_repro.plugin import peers
from pytest_repro.plugin.pytest_internals import get_basetemp
from pytest_repro.plugin.remote.companion_server import iter_item_keys
from pytest_repro.plugin.stash import SETTINGS


class CompanionLauncher:
    """Starts companions in the environment as it was before any test, which may forget to undo changes."""

    def __init__(self, session: pytest.Session, start: StartState) -> None:
        self.config, self.timeout = session.config, session.config.stash[SETTINGS].companion_timeout
        self.item_keys = {item: key for key, item in iter_item_keys(session.items)}
        self.paths, self.environ, self._argv = start.paths, start.environ, start.argv

    def start(self, interpreter: Interpreter, name: str, timeout: float, **order: Any) -> Companion:
        """Starts *interpreter*; *order* adds to its order, and *name* is part of its worker id.

        Raises:
            InterpreterLost: It did not start within *timeout* seconds.
        """
        return self.launch(interpreter, {**self.build_order(name, interpreter.local), **order}, timeout)

    def launch(self, interpreter: Interpreter, order: Mapping[str, Any], timeout: float) -> Companion:
        """As :meth:`start`, with the whole order, which :meth:`build_order` has begun."""
        return Companion(interpreter, order, self.paths, timeout, self.environ)

    def build_order(self, name: str, local: bool = True) -> dict[str, Any]:
        """The order of a companion, as plain data; *local* companions share this process's file system."""
        workerinput = _make_workerinput(self.config, name)
        return {
            "serve": "pytest_repro.plugin.remote.companion_session",
            "chdir": str(self.config.invocation_params.dir) if local else "",
            "args": _make_arguments(self.config),
            "workerinput": workerinput,
            "argv": self._argv,
            "worker_id": getattr(self.config, "workerinput", {}).get("workerid", "master"),
            "basetemp": os.path.join(get_basetemp(self.config), workerinput["workerid"]) if local else "",
        }

    def explain_unpicklable_plugin(self) -> str:
        """Why companions cannot have the plugins of this session; ``""`` if they can."""
        for plugin in self.config.invocation_params.plugins or ():
            kind = type(plugin)
            if not _get_import_name(plugin) and any(map(_is_fixture, vars(kind).values())):
                given = f"was given an object ({kind.__module__}.{kind.__qualname__})"
                return f"pytest.main(plugins=…) {given}, which cannot be sent: give a module"
        return ""


def _make_workerinput(config: pytest.Config, name: str) -> dict[str, Any]:
    inherited = dict(getattr(config, "workerinput", {}))
    prefix = f"{inherited['workerid']}-" if inherited else ""
    worker_id = prefix + re.sub(r"\W+", "-", f"repro {name}")
    node: Any = SimpleNamespace(config=config, gateway=SimpleNamespace(id=worker_id))
    node.workerinput = {**inherited, "workerid": worker_id}
    if not inherited:
        node.workerinput.update(workercount=1, testrunuid="repro", mainargv=["pytest"])
        for impl in config.hook.pytest_configure_node.get_hookimpls():  # adds what plugins send to workers
            with suppress(Exception):  # one that needs more than this node sends nothing
                impl.function(*[{"node": node}[name] for name in impl.argnames])
    node.workerinput.update(peers.get_workerinput(config), repro_seed=config.stash[SETTINGS].seed)
    return {key: value for key, value in node.workerinput.items() if _is_plain(value)}


def _is_plain(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return isinstance(value, (str, bytes, int, float, type(None)))


def _make_arguments(config: pytest.Config) -> list[str]:
    """The command line without debuggers, and the plugins given to ``pytest.main``."""
    params = config.invocation_params
    args = [arg for arg in map(os.fspath, params.args) if not arg.startswith("--debug")]
    for name in filter(None, map(_get_import_name, params.plugins or ())):
        args += ["-p", name]
    # With file descriptors captured, the last words of a crash would be lost.
    return [*args, "--capture=sys"] if config.getoption("capture", None) == "fd" else args


def _get_import_name(plugin: object) -> str:
    """The name by which another interpreter can import *plugin*; ``""`` if there is none."""
    name = plugin.__name__ if isinstance(plugin, ModuleType) else plugin
    return name if isinstance(name, str) else ""


def _is_fixture(value: object) -> bool:
    """Whether tests may use *value*; an object that only has hooks may be an observer."""
    return type(value).__name__ == "FixtureFunctionDefinition" or hasattr(value, "_pytestfixturefunction")
