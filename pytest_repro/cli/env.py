"""What could change a result here: the fingerprint, and every switch with its state."""

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
    """Imports every library that there is an adapter for, and gives why those failed that did.

    A library that is not installed is no failure.
    """
    failed = {}
    for name in find_plugins(_ADAPTERS):
        if name == STANDARD_LIBRARY or importlib.util.find_spec(name) is None:
            continue
        try:
            importlib.import_module(name)
        except Exception as error:  # somebody else's import: a shared library that is missing
            failed[name] = f"{type(error).__name__}: {error}"
    return failed


def format_json() -> Iterator[str]:
    """The same as :func:`format_text`, for programs: ``{"format": 1, "environment": …, "switches": […]}``."""
    failed = import_libraries()
    told = {
        "format": 1,
        "pytest-repro": __version__,
        "environment": environment(),
        "switches": [each._asdict() for each in iter_switches()],
        **({"not imported": failed} if failed else {}),
    }
    yield from json.dumps(told, indent=1).splitlines()


def format_text() -> Iterator[str]:
    """Fingerprint and switches, in lines."""
    failed = import_libraries()
    yield "environment"
    found = {"pytest-repro": __version__, **environment()}
    found |= {name: f"cannot be imported: {why}" for name, why in failed.items()}
    width = max(map(len, found))
    yield from (f"  {name:<{width}}  {value}" for name, value in found.items())
    yield ""
    yield "switches"
    rows = list(iter_switches())
    width = max(len(each.name) for each in rows)
    for meaning, group in groupby(rows, key=lambda each: each.meaning):
        yield from (f"  {each.name:<{width}}  {each.state}" for each in group)
        yield from (f"      {line}" for line in textwrap.wrap(meaning, _WIDTH - 6))
