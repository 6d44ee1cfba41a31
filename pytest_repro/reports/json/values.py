"""What is told of a value as a row of the JSON report: ``{"name": "loss[3]", "digest": …}``."""

from __future__ import annotations

import math
from typing import Any

from pytest_repro.core.compare.statistics import NUMBERS, Statistics
from pytest_repro.core.golden.value_summary import FEW, Account, Number
from pytest_repro.reports.json.checked import BadReport, Place


def observation_row(found: Account) -> dict[str, Any]:
    """*found* as plain data; NaN and infinity, which JSON has no word for, as text."""
    row: dict[str, Any] = {"name": found.name, "kind": found.kind, "digest": found.digest}
    if found.values is not None:
        row["values"] = [_written(value) for value in found.values]
    if found.text is not None:
        row["text"] = found.text
    if found.statistics is not None:
        row["statistics"] = _statistics_row(found.statistics)
    return row


def _statistics_row(found: Statistics) -> dict[str, Any]:
    row: dict[str, Any] = {n: _written(known) for n in NUMBERS if (known := getattr(found, n)) is not None}
    row |= {"non_finite": found.non_finite} if found.non_finite else {}
    row |= {"elements": [list(each) for each in found.elements]} if found.elements else {}
    return row


def _written(value: Number) -> Any:
    if isinstance(value, complex):
        return [_written(value.real), _written(value.imag)]
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def account_of(row: Place) -> Account:
    """What :func:`observation_row` made *row* of.

    Raises:
        BadReport: Something in it does not fit; says where.
    """
    values, text, told = row.get("values"), row.get("text"), row.get("statistics")
    read = tuple(map(_read, values)) if values else None
    if read is not None and len(read) > FEW:
        raise BadReport(f"{row.where} has {len(read)} values, and more than {FEW}")
    return Account(
        row["name"].text(), row["kind"].text(), row["digest"].text(), read,
        text.text() if text else None, _statistics(told) if told else None,
    )  # fmt: skip


def _statistics(row: Place) -> Statistics:
    read = {name: _float(place) for name in NUMBERS if (place := row.get(name))}
    odd, elements = row.get("non_finite"), row.get("elements")
    shown = tuple(map(_element, elements)) if elements else ()
    return Statistics(**read, non_finite=odd.whole() if odd else 0, elements=shown)


def _element(place: Place) -> tuple[int, str]:
    parts = list(place)
    if len(parts) != 2:
        raise BadReport(f"{place.where} is a list of {len(parts)}, and no index and element")
    return parts[0].whole(), parts[1].text()


_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def _read(place: Place) -> Number:
    if isinstance(place.value, list):
        parts = [_float(each) for each in place]
        if len(parts) != 2:
            raise BadReport(f"{place.where} is a list of {len(parts)}, and no complex number")
        return complex(*parts)
    return _real(place)


def _real(place: Place) -> int | float:
    return _WORDS[place.text(*_WORDS)] if isinstance(place.value, str) else place.number()


def _float(place: Place) -> float:
    return float(_real(place))
