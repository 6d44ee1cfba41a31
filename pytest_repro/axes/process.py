"""Fresh interpreters, each with a hash seed of its own, and so with other addresses."""

from __future__ import annotations

import os
from typing import ClassVar

from pytest_repro.axes import Axis, Interpreter
from pytest_repro.core.plan.plan import BadArgument


class Process(Axis):
    """``process=True`` or a number of interpreters; value 0 is this process."""

    remote = True
    preposition = "in"
    hints: ClassVar = (
        "the order of a set of strings, hash() of a string, order by id() or by the default hash",
    )

    def resolve_values(self, argument: object) -> tuple[object, ...]:
        number = int(argument) if isinstance(argument, (bool, int)) else 0
        if number < 1:
            raise BadArgument(self.name, argument, "True, or a number of interpreters, 1 or more")
        return tuple(range(number + 1))

    def format_option(self, values: tuple[object, ...]) -> str:
        return f"{self.name}={len(values) - 1}"

    def parse_option(self, text: str) -> object:
        return int(text) if text.isdecimal() else text

    def build_interpreter(self, value: object) -> Interpreter:
        seed = choose_hash_seed(value)
        return Interpreter(environ={"PYTHONHASHSEED": seed}, name=f"process {value} (PYTHONHASHSEED={seed})")

    def format_value(self, value: object) -> str:
        return f"process {value}" if value else "this process"

    def format_pair(self, reference: object, value: object) -> str:
        return f"this process and another (PYTHONHASHSEED={choose_hash_seed(value)})"


def choose_hash_seed(value: object) -> str:
    """The hash seed of process *value*: its number, or where this process has that, another."""
    seed = str(value)
    return seed if seed != os.environ.get("PYTHONHASHSEED") else str(1000 + int(seed))


axis = Process()
