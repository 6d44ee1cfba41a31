"""How much of the package one diverging test touches: files entered, moves between files.

python benchmarks/bench_files.py [--verbose] [--quick]

Runs a three-line numpy test that diverges, without a diagnosis, under a profile function.
Control moves between files where a call enters another file of the package than the call before it,
calls that pytest and other libraries pass on included; a direct call has its caller in the package too.
The bodies of modules do not count, nor what they call: the bodies of classes, rows of tables.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import CodeType, FrameType

import pytest
from _sessions import REPRO

import pytest_repro

FILE_TARGET, MOVE_TARGET = 90, 400
_TEST = """import numpy, pytest
@pytest.mark.reproducible
def test_draw(repro):
    rng = numpy.random.default_rng()
    x = rng.random(3)
    repro.record(x=x)
"""


class CallCounter:
    """Profile function that counts the files of the package entered, and the moves between them."""

    def __init__(self) -> None:
        self.files: Counter[str] = Counter()
        self.moves: Counter[tuple[str, str]] = Counter()
        self.direct_calls = 0
        self._last, self._imports = "", 0
        self._names: dict[CodeType, str] = {}
        self._root = str(Path(pytest_repro.__file__).parent) + os.sep

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        if event not in ("call", "return") or not (callee := self._name(frame)):
            return
        if frame.f_code.co_name == "<module>":
            self._imports += 1 if event == "call" else -1
        if self._imports or event == "return" or frame.f_code.co_name == "<module>":
            return
        self.files[callee] += 1
        if self._last and self._last != callee:
            self.moves[self._last, callee] += 1
        self._last = callee
        caller = self._name(frame.f_back) if frame.f_back else ""
        self.direct_calls += bool(caller) and caller != callee

    def _name(self, frame: FrameType) -> str:
        """Path within the package, or ``""`` for other code."""
        name = self._names.get(frame.f_code)
        if name is None:
            file = frame.f_code.co_filename
            name = self._names[frame.f_code] = (
                file.removeprefix(self._root) if file.startswith(self._root) else ""
            )
        return name


def run_profiled(folder: Path) -> CallCounter:
    """One session with the diverging test; raises ``RuntimeError`` if it does not fail."""
    (folder / "test_draw.py").write_text(_TEST)
    (folder / "pytest.ini").write_text("[pytest]\n")
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    counter = CallCounter()
    options = ["-q", "-p", "no:cacheprovider", *REPRO, "--repro-diagnose=never", str(folder)]
    with redirect_stdout(StringIO()) as output:
        sys.setprofile(counter)
        try:
            status = pytest.main(options)
        finally:
            sys.setprofile(None)
    if status != pytest.ExitCode.TESTS_FAILED or "is not reproducible" not in output.getvalue():
        raise RuntimeError(f"the test did not diverge: {output.getvalue()}")
    return counter


def main() -> None:
    parser = argparse.ArgumentParser(description="files entered by one diverging test")
    parser.add_argument("--verbose", action="store_true", help="list the files and the moves")
    parser.add_argument("--quick", action="store_true", help="changes nothing")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counter = run_profiled(Path(folder))
    print(f"files entered {len(counter.files)} (target {FILE_TARGET})")
    print(f"moves between files {counter.moves.total()} (target {MOVE_TARGET})")
    print(f"direct calls from file to file {counter.direct_calls}")
    if options.verbose:
        for name, calls in sorted(counter.files.items()):
            print(f"  {calls:5d} calls into {name}")
        for (caller, callee), calls in counter.moves.most_common(40):
            print(f"  {calls:5d} moves from {caller} to {callee}")


if __name__ == "__main__":
    main()
