"""State that no global of the user's holds, or that a setup makes once: its cause, the line, what to do."""

from __future__ import annotations

from tests.conftest import Project

SOURCE = """
    import contextvars, decimal, logging, os, random, sys, unittest
    import pytest

    DEPTH = contextvars.ContextVar("depth", default=0)

    def decay(rate):
        while True:
            yield rate
            rate *= 0.5

    RATES = decay(1.0)

    def test_environment(repro):
        level = int(os.environ.get("LEVEL", "0"))
        os.environ["LEVEL"] = str(level + 1)
        repro.record(level=level)

    def test_decimal(repro):
        value = decimal.Decimal(1) / 7
        decimal.getcontext().prec -= 3
        repro.record(value=str(value))

    def test_logger(repro):
        logger = logging.getLogger("train")
        logger.addHandler(logging.NullHandler())
        repro.record(handlers=len(logger.handlers))

    def test_context(repro):
        DEPTH.set(DEPTH.get() + 1)
        repro.record(depth=DEPTH.get())

    def test_generator(repro):
        repro.record(rate=next(RATES))

    @pytest.mark.reproducible
    class TestSetUpOnce(unittest.TestCase):
        @classmethod
        def setUpClass(cls):
            cls.random = random.Random(1)

        def test_it(self):
            import numpy as np
            drawn = np.array([self.random.random()])
            assert drawn.size == 1
"""

EXPECTED = {
    "test_environment": ("os.environ['LEVEL'] is new", 'os.environ["LEVEL"] = str(level + 1)'),
    "test_decimal": ("decimal.getcontext() has different values", "decimal.getcontext().prec -= 3"),
    "test_logger": (
        "logging.getLogger('train') is new",
        "logger.addHandler(logging.NullHandler())",
    ),
    "test_context": (
        "test_it.DEPTH changed from 0 to 1",
        'DEPTH = contextvars.ContextVar("depth", default=0)',
    ),
    "test_generator": ("test_it.RATES has moved on", "RATES = decay(1.0)"),
    "test_it": ("test_it.TestSetUpOnce.random was drawn from", "cls.random = random.Random(1)"),
}
"""Test → what has changed, and the line to which the cause points."""


def test_state_beyond_globals(project: Project) -> None:
    project.inquires = True
    result = project(SOURCE, subprocess=True)
    lines = (result.folder / "test_it.py").read_text().splitlines()
    found = {}
    for test in result.report["tests"]:
        cause = test["cause"]
        change = cause["explanation"].removeprefix("a run leaves state for the next: ").partition(";")[0]
        line = lines[int(cause["location"].rpartition(":")[2]) - 1].strip()
        found[test["nodeid"].rpartition("::")[2]] = cause["name"], change, line
    assert found == {name: ("shared-state", *row) for name, row in EXPECTED.items()}
