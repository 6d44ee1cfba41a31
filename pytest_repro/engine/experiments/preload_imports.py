"""What forks import, imported once where they come from.

An optimiser's first step imports ``torch._dynamo``: 2.5 s in each fork. Only parts of libraries
that were there before are imported, which computes nothing: a library that nobody had asked for
may do anything, and the user's own modules are part of what is tried.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module

from pytest_repro.interpose.user_frames import is_user_module


def report_imports(function: Callable[[], bytes]) -> bytes:
    """What *function* gives, and before it what it has imported, by name."""
    before = set(sys.modules)
    packages = {name.partition(".")[0] for name in before}
    said = function()
    new = [
        name
        for name, module in list(sys.modules.items())
        if name not in before
        and name.partition(".")[0] in packages
        and not (module is None or is_user_module(module))
    ]
    return b"\n".join([json.dumps(new).encode(), said])


def preload_imports(message: bytes) -> bytes:
    """What :func:`report_imports` was given; what was imported there is imported here as well."""
    names, _, rest = message.partition(b"\n")
    for name in json.loads(names):
        if name not in sys.modules:
            with suppress(Exception):  # the fork had it by another way
                import_module(name)
    return rest
