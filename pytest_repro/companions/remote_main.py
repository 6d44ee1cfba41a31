"""What lives in a companion: readies its process, serves, and is gone when the other side is."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from pytest_repro._version import __version__

BOOTSTRAP = """
import sys
paths = channel.receive()
if paths:
    sys.path[:] = paths
try:
    from pytest_repro.companions.remote_main import main
except ModuleNotFoundError as error:
    version = channel.receive()["version"]
    channel.send(("refused", LACKS.format(error.name, sys.executable, version)))
else:
    main(channel)
"""
"""Sent as source: all that must be there beforehand is Python and this package."""

MISSING_MODULE = "has no module {}: {} -m pip install pytest-repro=={} brings what is needed there"
BOOTSTRAP = BOOTSTRAP.replace("LACKS", repr(MISSING_MODULE))


def main(channel: Any) -> None:
    """The life of a companion: takes its orders, serves them, ends.

    Args:
        channel: execnet's; the first item is the order, ``{"version", "serve", "chdir", …}``.
    """
    order = channel.receive()
    if order["version"] != __version__:
        channel.send(("refused", f"it has pytest-repro {__version__}, this is {order['version']}"))
        return
    let_go = _exit_on_disconnect(channel.gateway)
    if order.get("chdir"):
        os.chdir(order["chdir"])
    sys.argv[:] = order.get("argv", sys.argv)
    try:
        _serve(channel, order)
    finally:
        let_go()
        _flush()


def _serve(channel: Any, order: Mapping[str, Any]) -> None:
    try:
        module = import_module(order["serve"])
    except ModuleNotFoundError as error:
        channel.send(("refused", MISSING_MODULE.format(error.name, sys.executable, __version__)))
    else:
        module.serve(channel, order)


def _exit_on_disconnect(gateway: Any) -> Callable[[], None]:
    """Ends this process, and what it has started, as soon as the connection is gone.

    It leads a session of its own: Ctrl-C in the terminal is for the one that asked for it.
    """
    leads = hasattr(os, "setsid") and os.getpid() != os.getpgrp()
    if leads:
        os.setsid()
    attached = [True]

    def on_disconnect(_: object) -> None:
        if attached:
            if leads:
                os.killpg(0, signal.SIGKILL)
            os._exit(1)

    gateway.newchannel().setcallback(on_disconnect, endmarker=None)
    return attached.clear


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()


def serve_requests(channel: Any, functions: Mapping[str, Callable[..., Any]]) -> None:
    """Answers what is asked until ``("finish",)``, one message for each that is not ``None``.

    Args:
        channel: execnet's.
        functions: What is called, by the first word of a message, with the rest of it.
    """
    while True:
        word, *arguments = channel.receive()
        if word == "finish":
            return
        said = functions[word](*arguments)
        if said is not None:
            channel.send(said)
