"""Numbers of threads: torch's own, and with threadpoolctl those of the BLAS that numpy uses."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import ClassVar

from pytest_repro.axes import Axis, as_tuple, require_distinct
from pytest_repro.core.plan.plan import BadArgument


class Threads(Axis):
    """``threads=(1, 2)``; True compares the number of here with one thread, or one with two."""

    close_by_default = True
    hints: ClassVar = (
        "sums, means, dot products and weight gradients, which threads add up in another order",
    )

    def resolve_values(self, argument: object) -> tuple[object, ...]:
        if argument is True:
            here = _get_thread_count()
            return here, 1 if here > 1 else 2
        values = as_tuple(argument)
        if any(isinstance(each, bool) or not isinstance(each, int) or each < 1 for each in values):
            raise BadArgument(self.name, argument, "numbers of threads, 1 or more: threads=(1, 2)")
        return require_distinct(self.name, values)

    def parse_option(self, text: str) -> object:
        return int(text) if text.isdecimal() else text

    def why_unavailable(self, value: object) -> str:
        if "torch" in sys.modules or ("numpy" in sys.modules and find_spec("threadpoolctl")):
            return ""
        return "there are no threads to set: torch is not imported, nor is threadpoolctl installed for numpy"

    @contextmanager
    def applied(self, value: object) -> Iterator[None]:
        number = int(str(value))
        with ExitStack() as stack:
            if "torch" in sys.modules:
                import torch

                stack.callback(torch.set_num_threads, torch.get_num_threads())
                torch.set_num_threads(number)
            if "numpy" in sys.modules and find_spec("threadpoolctl"):
                from threadpoolctl import threadpool_limits

                stack.enter_context(threadpool_limits(number, user_api="blas"))
            yield

    def format_value(self, value: object) -> str:
        return f"{value} thread{'s' * (value != 1)}"

    def format_pair(self, reference: object, value: object) -> str:
        return f"{reference} and {self.format_value(value)}"


def _get_thread_count() -> int:
    if "torch" in sys.modules:
        import torch

        return torch.get_num_threads()
    cores = getattr(os, "sched_getaffinity", None)
    return len(cores(0)) if cores else os.cpu_count() or 1


axis = Threads()
