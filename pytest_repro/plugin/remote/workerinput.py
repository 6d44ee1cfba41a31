"""What companions are started with: the same as workers of pytest-xdist.

Plugins that write reports, number databases or share a seed know such workers and keep out of their
way; they need not know companions.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from pytest_repro.plugin import peers
from pytest_repro.plugin.stash import SETTINGS


def make_workerinput(config: pytest.Config, cell_name: str) -> dict[str, Any]:
    """The ``config.workerinput`` of the companion for *cell_name*, as plain data.

    Args:
        config: Of this session, which may itself be a worker.
        cell_name: ``"process 1"``.
    """
    own = dict(getattr(config, "workerinput", {}))
    name = re.sub(r"\W+", "-", f"repro {cell_name}")
    told = {"workerid": f"{own['workerid']}-{name}" if own else name}
    node: Any = SimpleNamespace(config=config, workerinput={**own, **told})
    node.gateway = SimpleNamespace(id=told["workerid"])
    if not own:
        _call_configure_node(config, node)
    node.workerinput.update(peers.get_workerinput(config))
    node.workerinput["repro_seed"] = config.stash[SETTINGS].plan.seed
    return {key: value for key, value in node.workerinput.items() if _is_plain(value)}


def _call_configure_node(config: pytest.Config, node: Any) -> None:
    """What plugins send to their workers; a plugin that needs more of a node sends nothing."""
    node.workerinput.update(workercount=1, testrunuid="repro", mainargv=["pytest"])
    for impl in config.hook.pytest_configure_node.get_hookimpls():
        with suppress(Exception):
            impl.function(*[{"node": node}[name] for name in impl.argnames])


def _is_plain(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (str, bytes, bool, int, float))


def _make_arguments(config: pytest.Config) -> list[str]:
    """The command line, plugins given to ``pytest.main`` included, without debuggers."""
    given = [os.fspath(each) for each in config.invocation_params.args]
    plugins = [_find_plugin_name(each) for each in config.invocation_params.plugins or ()]
    kept = [each for each in given if not each.startswith("--debug")]
    return [*kept, *(word for name in plugins if name for word in ("-p", name))]


def _find_plugin_name(plugin: object) -> str:
    """The name by which another interpreter can import a plugin; ``""`` if there is none."""
    return (
        plugin if isinstance(plugin, str) else getattr(plugin, "__name__", "") if _is_module(plugin) else ""
    )


def _is_module(plugin: object) -> bool:
    return isinstance(plugin, ModuleType)


def explain_unpicklable_plugin(config: pytest.Config) -> str:
    """Why companions cannot have the plugins of this session; ``""`` if they can."""
    for plugin in config.invocation_params.plugins or ():
        kind = type(plugin)
        if not _find_plugin_name(plugin) and any(map(_is_fixture, vars(kind).values())):
            name = f"{kind.__module__}.{kind.__qualname__}"
            return f"pytest.main(plugins=…) was given an object ({name}), which cannot be sent: give a module"
    return ""


def _is_fixture(value: object) -> bool:
    """Whether tests may use it; an object with hooks only may just look on."""
    return type(value).__name__ == "FixtureFunctionDefinition" or hasattr(value, "_pytestfixturefunction")


def _make_capture_arguments(config: pytest.Config) -> list[str]:
    """Capture arguments: with file descriptors captured, a crash would take its last words along."""
    return ["--capture=sys"] if config.getoption("capture", None) == "fd" else []


def build_companion_order(
    config: pytest.Config, cell_name: str, local: bool, basetemp: str, argv: list[str]
) -> dict[str, Any]:
    """The order that a companion is started with, as plain data.

    Args:
        config: Of this session.
        cell_name: ``"process 1"``.
        local: Whether it shares this process's file system.
        basetemp: Its folder for temporary files, if it does.
        argv: ``sys.argv`` before any test.
    """
    told = make_workerinput(config, cell_name)
    return {
        "serve": "pytest_repro.plugin.remote.companion_session",
        "chdir": str(config.invocation_params.dir) if local else "",
        "args": [*_make_arguments(config), *_make_capture_arguments(config)],
        "workerinput": told,
        "argv": argv,
        "worker_id": getattr(config, "workerinput", {}).get("workerid", "master"),
        "basetemp": os.path.join(basetemp, told["workerid"]) if local else "",
    }
