"""Fresh interpreters, each with its own hash seed and its own addresses."""

from __future__ import annotations

import os

from pytest_repro.axes import CountedAxis, Interpreter


class Process(CountedAxis):
    """``process=True`` or a number of interpreters; value 0 is this process."""

    remote = True
    here = 0
    differs_by_process_only = True
    counted = "interpreters"
    preposition = "in"
    hints = ("the order of a set of strings, hash() of a string, order by id() or by the default hash",)
    cause_fix = (
        "look for os.getpid(), os.environ, the working directory, host names and temporary names in what "
        "the test computes"
    )

    def build_interpreter(self, value: object) -> Interpreter:
        seed = choose_hash_seed(value)
        return Interpreter(environ={"PYTHONHASHSEED": seed}, name=f"process {value} (PYTHONHASHSEED={seed})")

    def format_value(self, value: object) -> str:
        return f"process {value}" if value else "this process"

    def format_pair(self, reference: object, value: object) -> str:
        return f"this process and another (PYTHONHASHSEED={choose_hash_seed(value)})"

    def explain_difference(self, reference: object, value: object) -> str:
        same_seed = "two fresh processes with the same hash seed differ, whatever their memory layout"
        itself = "the process itself (its id, its working directory, its environment, its start time)"
        return f"{same_seed}: the result depends on {itself}"


def choose_hash_seed(value: object) -> str:
    """The hash seed of process *value*: its number, or another one if this process has that."""
    seed = str(value)
    return seed if seed != os.environ.get("PYTHONHASHSEED") else str(1000 + int(seed))


axis = Process()
