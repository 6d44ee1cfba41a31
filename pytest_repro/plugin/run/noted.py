"""What is recorded, put down in the trace of the run as well."""

from __future__ import annotations

from collections.abc import Callable

from pytest_repro.core.runs.observation import Observation, Stored, label
from pytest_repro.engine.runs.recording import Recording
from pytest_repro.traces import note
from pytest_repro.values.hashing import digest


def noted(recording: Recording) -> Callable[[str, object], None]:
    """As ``recording.record``, for a run that is traced: where no op parts, a recorded value does."""

    def record(name: str, value: object) -> None:
        before = len(recording)
        recording.record(name, value)
        for each in recording.since(before):
            note(f"record {label(each.key, each.key[1] > 0)}", (_digest(each),))

    return record


def _digest(each: Observation) -> str:
    content = each.content
    return content.digest if isinstance(content, Stored) else digest(each.kind, [memoryview(content)])
