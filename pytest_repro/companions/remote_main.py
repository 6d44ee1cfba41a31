"""The main function of a companion: prepares the process, serves, exits with the session."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from pytest_repro import __version__

MISSING_MODULE = "has no module {}: {} -m pip install pytest-repro=={} installs what it needs"

BOOTSTRAP = f"""
import sys
paths = channel.receive()
if paths:
    sys.path[:] = paths
try:
    from pytest_repro.companions.remote_main import main
except ModuleNotFoundError as error:
    version = channel.receive()["version"]
    channel.send(("refused", {MISSING_MODULE!r}.format(error.name, sys.executable, version)))
else:
    main(channel)
"""
"""Sent as source: needs only Python and this package on the other side."""


def main(channel: Any) -> None:
    """Receives an order, ``{"version", "serve", "chdir", …}``, from execnet's *channel*, and serves it."""
    order = channel.receive()
    if order["version"] != __version__:
        channel.send(("refused", f"it has pytest-repro {__version__}, this is {order['version']}"))
        return
    detach = _exit_on_disconnect(channel.gateway)
    if order.get("chdir"):
        os.chdir(order["chdir"])
    for name in set(os.environ).difference(order.get("variables", os.environ)):
        del os.environ[name]  # readline sets LINES and COLUMNS for other processes only
    sys.argv[:] = order.get("argv", sys.argv)
    try:
        try:
            module = import_module(order["serve"])
        except ModuleNotFoundError as error:
            channel.send(("refused", MISSING_MODULE.format(error.name, sys.executable, __version__)))
        else:
            module.serve(channel, order)
    finally:
        detach()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()


def _exit_on_disconnect(gateway: Any) -> Callable[[], None]:
    """Kills this process and what it started once the connection is gone; returns what turns that off.

    The process leads its own session, so that Ctrl-C in the terminal reaches only the session.
    """
    is_leader = hasattr(os, "setsid") and os.getpid() != os.getpgrp()
    if is_leader:
        os.setsid()
    attached = [True]

    def on_disconnect(_: object) -> None:
        if attached:
            if is_leader:
                os.killpg(0, signal.SIGKILL)
            os._exit(1)

    gateway.newchannel().setcallback(on_disconnect, endmarker=None)
    return attached.clear


def serve_requests(channel: Any, functions: Mapping[str, Callable[..., Any]]) -> None:
    """Answers requests from execnet's *channel* until ``("finish",)``.

    Args:
        functions: First word of a request → a function of its arguments that returns the answer, or None
            for no answer.
    """
    while True:
        word, *arguments = channel.receive()
        if word == "finish":
            return
        answer = functions[word](*arguments)
        if answer is not None:
            channel.send(answer)
