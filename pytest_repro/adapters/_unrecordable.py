"""Why a value that no adapter reads cannot be recorded, and what to record instead."""

from __future__ import annotations

from typing import Any

_PLAIN_ARRAYS = {("dpnp", "dpnp_array"), ("mlx", "array")}
"""Top package and class of arrays that are nothing but numbers. A subclass may hold more."""


def is_plain_array(value: object) -> bool:
    """Whether *value* is an array of another library that is nothing but its numbers."""
    kind = type(value)
    return (kind.__module__.partition(".")[0], kind.__name__) in _PLAIN_ARRAYS


def explain_unrecordable(value: object) -> str:
    """The end of a sentence that begins with the path of *value*."""
    kind = type(value)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    article = "an" if kind is object else "a"
    return f"is {article} {name}, which cannot be recorded: {find_alternative(value)}"


def find_alternative(value: object) -> str:
    """What to record instead of a value that cannot be recorded."""
    kind: Any = type(value)
    if hasattr(kind, "__array__") or hasattr(kind, "__dlpack__"):
        return "record numpy.asarray(x), and with it the labels or units that it would drop"
    if callable(getattr(kind, "fit", None)) and callable(getattr(kind, "get_params", None)):
        return "record its fitted attributes (.coef_, .tree_, …) or its predictions"
    if callable(getattr(kind, "state_dict", None)):
        return "record its .state_dict()"
    return (
        "record the numbers, text, arrays, tensors, modules or optimizers in it, "
        "or lists, tuples, dicts, sets or dataclasses of them"
    )
