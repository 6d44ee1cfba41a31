"""Equal rows in another order: what a library returns in any order, by its own threads or hashes."""

from __future__ import annotations

from typing import Any

from pytest_repro.causes import Cause, watch_each
from pytest_repro.core.diagnose import Evidence, Finding

_NOTE = "the rows of all runs are equal, and in another order"


def _keeps_no_order(*_: Any, maintain_order: Any = False, **__: Any) -> bool:
    return maintain_order in (False, None, "none")


_POLARS: Any = {"when": _keeps_no_order, "effect": "returns its rows in any order"}
_POLARS["fix"] = "pass maintain_order=True, or sort the rows by a key"

_COUNTS: Any = {"effect": "returns its rows in any order, those with equal counts also with sort=True"}
_COUNTS["fix"] = "sort the rows by the value"


class RowOrder(Cause):
    """Compiled code cannot be suspended: this cause is what runs show that no other cause explains."""

    located_by_line = True
    explanation = "what a library, a set or an unstable sort returns has no order"
    fix = (
        "sort the rows by a key; or keep their order: maintain_order=True in polars, kind='stable' in sorts "
        "of numpy and pandas, stable=True in torch"
    )
    watched_functions = (
        *watch_each("polars", "DataFrame.group_by DataFrame.unique DataFrame.sort DataFrame.join", **_POLARS),
        *watch_each("polars", "LazyFrame.group_by LazyFrame.unique LazyFrame.sort LazyFrame.join", **_POLARS),
        *watch_each("polars", "Series.unique", **_POLARS),
        *watch_each("polars", "Series.value_counts", **_COUNTS),
    )

    def build_finding(self, evidence: Evidence, variant: str = "", detail: str = "") -> Finding:
        location, explanation, fix = self.explain(evidence.calls)
        return Finding(self.name, location, f"{explanation}: {_NOTE}", fix)


cause = RowOrder()
