"""An interpreter that does not start is abandoned after its time limit, killed, and leaves nothing open."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from execnet import gateway_io

from pytest_repro.axes import Interpreter
from pytest_repro.companions.companion import Companion, InterpreterLost


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
def test_silent_interpreter_is_abandoned_and_killed(tmp_path: Path) -> None:
    silent = tmp_path / "python"
    silent.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 100\n")
    silent.chmod(0o700)
    real = gateway_io.Popen2IOMaster
    with pytest.raises(
        InterpreterLost, match="hash seed 1 could not be started: TimeoutError: no answer within 1"
    ):
        Companion(Interpreter(f"popen//python={silent}", {}, "hash seed 1"), {}, sys.path, 1.5)
    assert gateway_io.Popen2IOMaster is real
    pid = int((tmp_path / "pid").read_text())
    end = time.monotonic() + 120
    while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
        time.sleep(0.02)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_pipes_of_an_interpreter_that_exits_at_once_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else they are reported as unclosed files whenever the garbage collector finds them."""
    started: list[Any] = []

    class DeadInterpreter(gateway_io.Popen2IOMaster):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.popen.wait()
            started.append(self.popen)

    monkeypatch.setattr(gateway_io, "Popen2IOMaster", DeadInterpreter)
    with pytest.raises(InterpreterLost, match="could not be started: BrokenPipeError"):
        Companion(Interpreter("popen//python=false", {}, "hash seed 1"), {}, sys.path, 60)
    assert [(popen.stdin.closed, popen.stdout.closed) for popen in started] == [(True, True)]
