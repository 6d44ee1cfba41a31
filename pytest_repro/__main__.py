"""``python -m pytest_repro``: the same as the command ``pytest-repro``."""

import sys

from pytest_repro.cli import main

if __name__ == "__main__":
    sys.exit(main())
