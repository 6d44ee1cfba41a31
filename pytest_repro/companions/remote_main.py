"""What lives in a companion: readies its process, serves, and is gone when the other side is."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from pytest_repro import __version__

PROGRAM = """
import sys
paths = channel.receive()
if paths:
    sys.path[:] = paths
try:
    from pytest_repro.companions.remote_main import live
except ModuleNotFoundError as error:
    version = channel.receive()["version"]
    channel.send(("refused", LACKS.format(error.name, sys.executable, version)))
else:
    live(channel)
"""
"""Sent as source: all that must be there beforehand is Python and this package."""

LACKS = "has no module {}: {} -m pip install pytest-repro=={} brings what is needed there"
PROGRAM = PROGRAM.replace("LACKS", repr(LACKS))


def live(channel: Any) -> None:
    """The life of a companion: takes its orders, serves them, ends.

    Args:
        channel: execnet's; the first item is the order, ``{"version", "serve", "chdir", …}``.
    """
    order = channel.receive()
    if order["version"] != __version__:
        channel.send(("refused", f"it has pytest-repro {__version__}, this is {order['version']}"))
        return
    let_go = _tied_to(channel.gateway)
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
        channel.send(("refused", LACKS.format(error.name, sys.executable, __version__)))
    else:
        module.serve(channel, order)


def _tied_to(gateway: Any) -> Callable[[], None]:
    """Ends this process, and what it has started, as soon as the connection is gone.

    It leads a session of its own: Ctrl-C in the terminal is for the one that asked for it.
    """
    leads = hasattr(os, "setsid") and os.getpid() != os.getpgrp()
    if leads:
        os.setsid()
    tied = [True]

    def gone(_: object) -> None:
        if tied:
            if leads:
                os.killpg(0, signal.SIGKILL)
            os._exit(1)

    gateway.newchannel().setcallback(gone, endmarker=None)
    return tied.clear


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()


def answer(channel: Any, ways: Mapping[str, Callable[..., Any]]) -> None:
    """Answers what is asked until ``("finish",)``, one message for each that is not ``None``.

    Args:
        channel: execnet's.
        ways: What is called, by the first word of a message, with the rest of it.
    """
    while True:
        word, *arguments = channel.receive()
        if word == "finish":
            return
        said = ways[word](*arguments)
        if said is not None:
            channel.send(said)
