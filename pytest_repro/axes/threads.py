"""The number of threads: of torch, and with threadpoolctl of BLAS and of scikit-learn's OpenMP."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec

from pytest_repro.adapters import active_adapters
from pytest_repro.axes import Axis, as_tuple
from pytest_repro.axes._shared import require_distinct
from pytest_repro.core.machine import count_cores
from pytest_repro.core.plan.arguments import BadArgument

_WITH_THREADS = {"torch", "numba"}
_OPENMP_USERS = ("sklearn", "lightgbm", "xgboost")
"""Libraries whose OpenMP threads follow this axis as well."""


class Threads(Axis):
    """``threads=(1, 2)``; True compares the current number with 1, or 1 with 2."""

    close_by_default = True
    hints = ("sums, means, dot products and weight gradients, which threads add up in another order",)
    cause_reason = "sums are split over the threads and added up in another order"
    cause_fix = (
        "fix the number of threads (torch.set_num_threads, OMP_NUM_THREADS) where results must be equal, "
        "or compare within a tolerance"
    )

    def resolve_values(self, argument: object) -> tuple[object, ...]:
        if argument is True:
            torch = sys.modules.get("torch")
            current = count_cores() if torch is None else torch.get_num_threads()
            return current, 1 if current > 1 else 2
        values = as_tuple(argument)
        if any(isinstance(each, bool) or not isinstance(each, int) or each < 1 for each in values):
            raise BadArgument(self.name, argument, "numbers of threads, 1 or more: threads=(1, 2)")
        return require_distinct(self.name, values)

    def why_unavailable(self, value: object) -> str:
        if _WITH_THREADS & sys.modules.keys() or ("numpy" in sys.modules and find_spec("threadpoolctl")):
            return ""
        return "there are no threads to set: torch is not imported, and numpy needs threadpoolctl"

    def why_not_in_effect(self, value: object) -> str:
        return self.why_unavailable(value) if "numpy" in sys.modules else ""

    @contextmanager
    def applied(self, value: object) -> Iterator[None]:
        number = int(str(value))
        with ExitStack() as stack:
            if (torch := sys.modules.get("torch")) is not None:
                stack.callback(torch.set_num_threads, torch.get_num_threads())
                torch.set_num_threads(number)
            if "numpy" in sys.modules and find_spec("threadpoolctl"):
                from threadpoolctl import threadpool_limits

                openmp = not sys.modules.keys().isdisjoint(_OPENMP_USERS)
                stack.enter_context(threadpool_limits(number, user_api=None if openmp else "blas"))
            for adapter in active_adapters().values():
                stack.enter_context(adapter.limit_threads(number))
            yield

    def format_value(self, value: object) -> str:
        return f"{value} thread{'s' * (value != 1)}"

    def format_pair(self, reference: object, value: object) -> str:
        return f"{reference} and {self.format_value(value)}"


axis = Threads()
