"""What is told of a value as a row of the JSON report: ``{"name": "loss[3]", "digest": …}``."""

from __future__ import annotations

import math
from typing import Any

from pytest_repro.core.compare.statistics import NUMBER_FIELDS, Statistics
from pytest_repro.core.golden.value_summary import MAX_VALUES, Number, ValueSummary
from pytest_repro.reports.json.checked import BadReport, JsonNode


def value_to_row(stored: ValueSummary) -> dict[str, Any]:
    """*stored* as plain data; NaN and infinity, which JSON has no word for, as text."""
    row: dict[str, Any] = {"name": stored.name, "kind": stored.kind, "digest": stored.digest}
    if stored.values is not None:
        row["values"] = [_number_to_json(value) for value in stored.values]
    if stored.text is not None:
        row["text"] = stored.text
    if stored.statistics is not None:
        row["statistics"] = _statistics_to_row(stored.statistics)
    return row


def _statistics_to_row(statistics: Statistics) -> dict[str, Any]:
    row: dict[str, Any] = {
        n: _number_to_json(known) for n in NUMBER_FIELDS if (known := getattr(statistics, n)) is not None
    }
    row |= {"non_finite": statistics.non_finite} if statistics.non_finite else {}
    row |= {"elements": [list(each) for each in statistics.elements]} if statistics.elements else {}
    return row


def _number_to_json(value: Number) -> Any:
    if isinstance(value, complex):
        return [_number_to_json(value.real), _number_to_json(value.imag)]
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def value_from_row(row: JsonNode) -> ValueSummary:
    """What :func:`value_to_row` made *row* of.

    Raises:
        BadReport: Something in it does not fit; says where.
    """
    values, text, told = row.get("values"), row.get("text"), row.get("statistics")
    read = tuple(map(_number_from_json, values)) if values else None
    if read is not None and len(read) > MAX_VALUES:
        raise BadReport(f"{row.location} has {len(read)} values, and more than {MAX_VALUES}")
    return ValueSummary(
        row["name"].as_text(), row["kind"].as_text(), row["digest"].as_text(), read,
        text.as_text() if text else None, _statistics_from_row(told) if told else None,
    )  # fmt: skip


def _statistics_from_row(row: JsonNode) -> Statistics:
    read = {name: _float_from_json(place) for name in NUMBER_FIELDS if (place := row.get(name))}
    odd, elements = row.get("non_finite"), row.get("elements")
    shown = tuple(map(_element_from_json, elements)) if elements else ()
    return Statistics(**read, non_finite=odd.as_int() if odd else 0, elements=shown)


def _element_from_json(node: JsonNode) -> tuple[int, str]:
    parts = list(node)
    if len(parts) != 2:
        raise BadReport(f"{node.location} is a list of {len(parts)}, and no index and element")
    return parts[0].as_int(), parts[1].as_text()


_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def _number_from_json(node: JsonNode) -> Number:
    if isinstance(node.value, list):
        parts = [_float_from_json(each) for each in node]
        if len(parts) != 2:
            raise BadReport(f"{node.location} is a list of {len(parts)}, and no complex number")
        return complex(*parts)
    return _real_from_json(node)


def _real_from_json(node: JsonNode) -> int | float:
    return _NON_FINITE[node.as_text(*_NON_FINITE)] if isinstance(node.value, str) else node.as_number()


def _float_from_json(node: JsonNode) -> float:
    return float(_real_from_json(node))
