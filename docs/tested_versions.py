"""Writes the versions of the installed libraries that have an adapter: ``python docs/tested_versions.py``.

Those that are not installed keep what the file says.
"""

from __future__ import annotations

import json
import platform
from importlib.metadata import packages_distributions, version
from pathlib import Path

from pytest_repro.core.plugins import find_plugins

PATH = Path(__file__).with_suffix(".json")


def main() -> None:
    """Writes the file."""
    versions = json.loads(PATH.read_text()) if PATH.exists() else {}
    distributions = packages_distributions()
    for name in set(find_plugins("pytest_repro.adapters")) & set(distributions):
        versions[name] = version(distributions[name][0]).partition("+")[0]
    versions["python"] = platform.python_version()
    PATH.write_text(json.dumps(dict(sorted(versions.items())), indent=1) + "\n")


if __name__ == "__main__":
    main()
