"""What could change a result on this machine: the environment, and every determinism switch."""

from __future__ import annotations

import importlib
import importlib.util
import json
import textwrap
from collections.abc import Iterator
from itertools import groupby

from pytest_repro._version import __version__
from pytest_repro.adapters import STANDARD_LIBRARY, environment
from pytest_repro.adapters import __name__ as _ADAPTERS
from pytest_repro.cli.switches import iter_switches
from pytest_repro.core.plugins import find_plugins

_WIDTH = 100


def import_libraries() -> dict[str, str]:
    """Imports every installed library that has an adapter; returns the errors by name."""
    errors = {}
    for name in find_plugins(_ADAPTERS):
        if name == STANDARD_LIBRARY or importlib.util.find_spec(name) is None:
            continue
        try:
            importlib.import_module(name)
        except Exception as error:  # a broken installation: a shared library is missing
            errors[name] = f"{type(error).__name__}: {error}"
    return errors


def format_json() -> Iterator[str]:
    """:func:`format_text` as JSON: ``{"format": 1, "environment": …, "switches": […]}``."""
    errors = import_libraries()
    content = {
        "format": 1,
        "pytest-repro": __version__,
        "environment": environment(),
        "switches": [switch._asdict() for switch in iter_switches()],
        **({"not imported": errors} if errors else {}),
    }
    yield from json.dumps(content, indent=1).splitlines()


def format_text() -> Iterator[str]:
    """Environment and switches, in lines."""
    errors = {name: f"cannot be imported: {error}" for name, error in import_libraries().items()}
    yield "environment"
    fields = {"pytest-repro": __version__, **environment(), **errors}
    width = max(map(len, fields))
    yield from (f"  {name:<{width}}  {value}" for name, value in fields.items())
    yield ""
    yield "switches"
    switches = list(iter_switches())
    width = max(len(switch.name) for switch in switches)
    for meaning, group in groupby(switches, key=lambda switch: switch.meaning):
        yield from (f"  {switch.name:<{width}}  {switch.state}" for switch in group)
        yield from (f"      {line}" for line in textwrap.wrap(meaning, _WIDTH - 6))
