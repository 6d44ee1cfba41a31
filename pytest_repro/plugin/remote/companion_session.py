"""A pytest session in a companion or a rank: collects as the main session did, runs tests on request."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from types import ModuleType
from typing import Any

import pytest

from pytest_repro.adapters import Adapter
from pytest_repro.engine.experiments.fresh_imports import import_libraries, serve_fresh_forks
from pytest_repro.engine.experiments.process_setup import shifted_heap, single_threaded
from pytest_repro.plugin import pytest_internals
from pytest_repro.plugin.remote.companion_server import CompanionServer
from pytest_repro.plugin.remote.protocol_server import ProtocolServer
from pytest_repro.plugin.remote.rank_server import RankServer
from pytest_repro.plugin.run.outcome import format_first_cause
from pytest_repro.plugin.workerinput import FIXED_KEY, RANK_KEY


def serve(channel: Any, order: Mapping[str, Any]) -> None:
    """Runs a pytest session that serves requests from *channel*.

    Args:
        channel: execnet's, or its equivalent in a rank.
        order: From :meth:`.CompanionLauncher.build_order`; in a rank also ``limit``, a time in seconds.
    """
    if order.get("bare") or order.get("libraries"):
        import_libraries(order["libraries"], order["layout"])
        setup = {"layout_setup": shifted_heap(layout=order["layout"])} if order["layout"] else {}
        order = {**order, **setup, "libraries": []}
    if order.get("bare"):
        channel.send(("ready", 0))
        serve_fresh_forks(serve, channel, {**order, "bare": False})
        return
    Adapter.is_companion = True
    server = _make_server(channel, order)
    if "threads" in order:  # this process is forked later
        server.collection_stack.enter_context(single_threaded(order["threads"]))
    server.collection_stack.enter_context(order.get("import_setup") or nullcontext())
    try:
        config = pytest_internals.prepare_config(list(order["args"]), order["basetemp"] or None)
    except (Exception, SystemExit) as error:
        reason = error if isinstance(error, (pytest.UsageError, SystemExit)) else format_first_cause(error)
        channel.send(("refused", f"could not start pytest there: {reason}"))
        return
    vars(config).update(workerinput=dict(order["workerinput"]), workeroutput={})
    config.pluginmanager.register(server, "repro-companion")
    if config.pluginmanager.has_plugin("xdist"):  # the fixture of the test's other runs
        plugin: Any = ModuleType("repro-worker-id")  # pytest looks for an object's fixtures on its class
        plugin.worker_id = pytest.fixture(scope="session", name="worker_id")(lambda: order["worker_id"])
        config.pluginmanager.register(plugin, "repro-worker-id")
    server.collection_stack.enter_context(order.get("layout_setup") or nullcontext())
    with server.collection_stack:
        status = config.hook.pytest_cmdline_main(config=config)
    if not server.ready:
        reason = "\n".join(server.collection_errors.values()) or f"exit status {status}"
        channel.send(("refused", f"could not collect the tests there: {reason}"))


def _make_server(channel: Any, order: Mapping[str, Any]) -> CompanionServer:
    if RANK_KEY in order["workerinput"]:
        return RankServer(channel, order["limit"])
    return ProtocolServer(channel) if FIXED_KEY in order["workerinput"] else CompanionServer(channel)
