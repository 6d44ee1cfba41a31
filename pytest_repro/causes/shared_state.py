"""Something one run left behind for the next: a global, a cache, a wide fixture, a switch, a file."""

from __future__ import annotations

from pytest_repro.causes import Cause, Evidence
from pytest_repro.core.finding import Change, Finding

_TOLD = 3


class SharedState(Cause):
    """Held by beginning each run in a fresh process, which meets nothing left behind."""

    elsewhere = True

    def suspects(self, evidence: Evidence) -> bool:
        return True

    def presses(self, evidence: Evidence) -> bool:
        return bool(evidence.changed)

    def found(self, evidence: Evidence, way: str = "", beside: str = "") -> Finding:
        changed = evidence.changed
        first = changed[0] if changed else None
        return Finding(
            self.name, first.location if first else "",
            f"{_left(changed)}; begun in a fresh process, all runs were equal",
            _fix(first) if first else "make what the test changes anew in each run, in a function fixture",
        )  # fmt: skip


def _left(changed: tuple[Change, ...]) -> str:
    if not changed:
        return "a run leaves something behind for the next (what it is could not be seen)"
    told = "; ".join(f"{each.name} {each.how}" for each in changed[:_TOLD])
    more = f", and {len(changed) - _TOLD} more" if len(changed) > _TOLD else ""
    return f"a run leaves something behind for the next: {told}{more}"


def _fix(change: Change) -> str:
    name = change.name
    if name.startswith("fixture "):
        return f"give {name.split('[')[0].split('.')[0]} scope='function', or copy what the test changes"
    if name.startswith("parameter "):
        return "copy the parameter before it is changed: it is one object for all runs"
    if name.startswith("file "):
        return "write to tmp_path, which is empty in each run"
    if "(default " in name:
        return "make the default argument None, and the container in the function's body"
    if name.startswith(("torch ", "numpy", "os.environ", "the working")):
        return "put it back at the end of the test: in a fixture, or with monkeypatch"
    if change.how.endswith("cache") or "cache" in name.lower():
        return f"clear {name} before each run, in a function fixture"
    return f"make {name} anew in each run, in a function fixture, or restore it with monkeypatch"


cause = SharedState()
