"""Reads a model that a library wrote as JSON: lists of numbers as arrays, everything by path."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from pytest_repro.core.runs.observation import Parts

_NUMBERS = (int, float)
_EXACT = 2**53  # whole numbers below are exact as float64


def read_json(value: Any, float_dtype: str, all_floats: bool = False) -> object:
    """*value* with its lists of numbers as arrays, and other lists of plain values as text.

    Arrays with a float have *float_dtype*; *all_floats* if the library writes 3.0 as ``3``.
    """
    if isinstance(value, dict):
        return {key: read_json(part, float_dtype, all_floats) for key, part in value.items()}
    if isinstance(value, list):
        return _read_list(value, float_dtype, all_floats)
    return float(value) if all_floats and _is_number(value) and abs(value) < _EXACT else value


def _is_number(value: Any) -> bool:
    return type(value) in _NUMBERS


def _read_list(values: list[Any], float_dtype: str, all_floats: bool) -> object:
    if any(isinstance(each, (list, dict)) for each in values):
        return [read_json(each, float_dtype, all_floats) for each in values]
    if not all(map(_is_number, values)):
        return json.dumps(values)
    is_small = all(abs(each) < _EXACT for each in values)
    is_float = any(type(each) is float for each in values) or (all_floats and is_small)
    return np.array(values, float_dtype if is_float else None)


def _without(value: Any, skipped: Collection[str]) -> Any:
    if isinstance(value, dict):
        return {key: _without(part, skipped) for key, part in value.items() if key not in skipped}
    return [_without(part, skipped) for part in value] if isinstance(value, list) else value


def make_model(kind: str, tree: Mapping[str, Any], skipped: Collection[str] = ()) -> Parts:
    """A model from the entries of *tree* as attributes, without *skipped* ones at any depth."""
    items = ((f".{name}", part) for name, part in sorted(_without(tree, skipped).items()))
    return Parts(kind, items, numeric=True)


def explain_dataset(kind: type) -> str:
    """Why the data set of a booster cannot be recorded."""
    name = f"{kind.__module__}.{kind.__qualname__}"
    return f"is a {name}, which keeps its data in a form of its own: record the data that it is made of"
