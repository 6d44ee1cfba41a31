"""Interpreters that fork for each session, with what it needs imported: torch takes two seconds."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

# A fork ends as an interpreter does, with all that is registered for its end.
_SERVER = """
import importlib, json, os, sys
import pytest
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
for line in iter(sys.stdin.readline, ""):
    folder, output, arguments, environ = json.loads(line)
    if child := os.fork():
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
    os.dup2(1, 2)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    sys.path[0], sys.argv[1:] = folder, arguments
    sys.exit(pytest.main(arguments))
"""


class Forked(NamedTuple):
    """Exit code, and output and errors together, of a session."""

    code: int
    output: str


@cache
def _start(modules: tuple[str, ...], path: str, owner: int) -> subprocess.Popen[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-c", _SERVER, json.dumps(modules)]
    server = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**environ, "PYTHONPATH": path}
    )
    atexit.register(lambda: owner == os.getpid() and server.communicate())
    return server


def run_forked(
    modules: Sequence[str], arguments: Sequence[str], folder: Path, environ: Mapping[str, str]
) -> Forked:
    """Runs pytest in *folder*, in a fork of an interpreter that has imported pytest and *modules*."""
    server = _start(tuple(modules), environ.get("PYTHONPATH", ""), os.getpid())
    assert server.stdin is not None
    assert server.stdout is not None
    output = folder.with_name(f"{folder.name}.output")
    server.stdin.write(json.dumps([str(folder), str(output), arguments, dict(environ)]) + "\n")
    server.stdin.flush()
    code = int(server.stdout.readline())
    return Forked(code, output.read_text(errors="replace"))
