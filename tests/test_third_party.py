"""Another distribution adds an axis, a cause and an adapter, and nothing else knows their names."""

from __future__ import annotations

import os
from pathlib import Path
from textwrap import dedent

import pytest

import pytest_repro
from tests.conftest import Project, Result

DISTRIBUTION = {
    "acme-1.0.dist-info/METADATA": """
        Metadata-Version: 2.1
        Name: acme
        Version: 1.0
        """,
    "acme-1.0.dist-info/entry_points.txt": """
        [pytest_repro.axes]
        rounding = acme_repro.rounding_axis

        [pytest_repro.causes]
        acme_counter = acme_repro.counter_cause

        [pytest_repro.adapters]
        acme = acme_repro.acme_adapter
        """,
    "acme.py": """
        from pathlib import Path

        COUNTER = Path(__file__).with_name("counter")
        mode = "down"


        class Vector:
            def __init__(self, *numbers):
                self.numbers = numbers


        def halve(number):
            return number // 2 + (mode == "up" and number % 2)


        def count():
            number = int(COUNTER.read_text() or 0) if COUNTER.exists() else 0
            COUNTER.write_text(str(number + 1))
            return number
        """,
    "acme_repro/__init__.py": "",
    "acme_repro/rounding_axis.py": """
        import acme
        from contextlib import contextmanager
        from pytest_repro.axes import Axis


        class Rounding(Axis):
            hints = ("odd numbers",)

            def resolve_values(self, argument):
                return ("down", "up") if argument is True else tuple(argument)

            @contextmanager
            def applied(self, value):
                before, acme.mode = acme.mode, value
                try:
                    yield
                finally:
                    acme.mode = before


        axis = Rounding()
        """,
    "acme_repro/counter_cause.py": """
        import sys
        from pytest_repro.causes import Cause, WatchedFunction
        from pytest_repro.interpose.patch import Patch, patch_everywhere


        class Counter(Cause):
            watched_functions = (WatchedFunction("acme:count", "counts all its calls", "count in the test"),)

            def suspend(self, seed, variant=""):
                acme = sys.modules.get("acme")
                return patch_everywhere([Patch(acme, "count", lambda: seed)] if acme else [])


        cause = Counter()
        """,
    "acme_repro/acme_adapter.py": """
        import acme
        import struct
        from pytest_repro.adapters import Adapter
        from pytest_repro.core.runs.observation import Leaf


        class Acme(Adapter):
            def flatten(self, value):
                if not isinstance(value, acme.Vector):
                    return None
                count = len(value.numbers)
                content = struct.pack(f"<{count}d", *value.numbers)
                kind = f"acme.Vector[{count}]"
                return Leaf(kind, "float64", (count,), len(content), lambda: (memoryview(content),))

            def environment(self):
                return {"acme": "1.0"}


        adapter = Acme()
        """,
}

TESTS = """
    import acme
    import pytest


    @pytest.mark.reproducible(rounding=True)
    def test_axis(repro):
        repro.record(half=acme.halve(7))


    def test_cause(repro):
        repro.record(count=acme.count())


    def test_adapter(repro):
        repro.record(vector=acme.Vector(1.0, 2.5))


    def test_adapter_of_a_difference(repro):
        repro.record(vector=acme.Vector(1.0, acme.count()))
"""


@pytest.fixture
def result(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Result:
    for name, text in DISTRIBUTION.items():
        file = tmp_path / "site" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text).lstrip())
    package = Path(pytest_repro.__file__).parent.parent
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), str(package)]))
    return project(TESTS, "--repro-diagnose=always", subprocess=True)


def test_a_distribution_adds_an_axis_a_cause_and_an_adapter(result: Result) -> None:
    result.check(passed=1, failed=3)
    by_name = {test["nodeid"].split("::")[1]: test for test in result.report["tests"]}
    causes = {name: test["cause"] for name, test in by_name.items() if "cause" in test}

    assert causes["test_axis"]["name"] == "rounding"
    assert causes["test_axis"]["explanation"] == (
        "runs repeat at each value, and rounding down and rounding up differ"
    )
    assert causes["test_axis"]["fix"].startswith("fix its value where results must be equal")

    counts = "acme.count() counts all its calls"
    for name in ("test_cause", "test_adapter_of_a_difference"):
        assert (causes[name]["name"], causes[name]["explanation"]) == ("acme-counter", counts)
        assert causes[name]["fix"] == "count in the test"

    assert by_name["test_adapter"]["verdict"] == "reproduced"
    result.check(says=["vector   acme.Vector[2]   run 2 differs", "half   int   differs with rounding up"])
