"""Reads numpy arrays, torch tensors, and lists of either, as numpy arrays; never imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SCALAR_TYPES = (bool, int, float, complex, str, np.generic)


def as_array(name: str, value: object) -> NDArray[Any]:
    """*value*, an array, a tensor on any device and of any layout, a number, or a list of these, as an array.

    It may share memory with *value*: do not write to it. bfloat16 and float8, which numpy lacks, become
    float32. Errors call it *name*.

    Raises:
        TypeError: *value* holds something else than numbers or text.
        ValueError: The items of a list have different shapes.
    """
    if isinstance(value, (list, tuple)) and value and not isinstance(value[0], _SCALAR_TYPES):
        return _stack(name, [as_array(f"{name}[{i}]", each) for i, each in enumerate(value)])
    try:
        array = _tensor_to_numpy(value) if hasattr(value, "detach") else np.asarray(value)
    except Exception as error:  # a meta tensor, a ragged list: the library says why
        raise _make_unreadable_error(name, value, f" ({error})") from error
    if array.dtype.kind == "O" or (array.dtype.kind == "U" and isinstance(value, (list, tuple))):
        array = _convert_objects(name, value, array)
    if array.dtype.kind in "biufcUS":
        return array
    raise _make_unreadable_error(name, value, f" of dtype {array.dtype}" if hasattr(value, "dtype") else "")


def _convert_objects(name: str, value: object, objects: NDArray[Any]) -> NDArray[Any]:
    """Text or numbers from an object array, as pandas returns them, or from a list."""
    items = value if isinstance(value, (list, tuple)) else objects.ravel().tolist()
    # numpy would convert numbers next to text to text.
    texts = [isinstance(each, str) for each in items]
    if any(texts) and not all(texts):
        other = items[texts.index(False)]
        raise TypeError(f"{name} holds text and a {type(other).__qualname__}: expected one of the two")
    try:
        return np.asarray(objects.tolist())
    except ValueError as error:  # with arrays of different shapes
        raise _make_unreadable_error(name, value, f" of dtype {objects.dtype}") from error


def _make_unreadable_error(name: str, value: object, detail: str) -> TypeError:
    kind = type(value).__qualname__
    return TypeError(f"{name} is a {kind}{detail}: expected an array, a tensor or a list of numbers")


def _tensor_to_numpy(tensor: Any) -> NDArray[Any]:
    dense = tensor.detach()
    if dense.is_quantized:
        dense = dense.dequantize()
    if str(dense.layout) != "torch.strided":
        dense = dense.to_dense()
    dense = dense.cpu().resolve_conj().resolve_neg()
    try:
        array: NDArray[Any] = dense.numpy()
    except TypeError:  # bfloat16 and float8, whose values all fit float32
        array = dense.float().numpy()
    return array


def _stack(name: str, parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    for i, each in enumerate(parts):
        if each.shape != parts[0].shape:
            raise ValueError(
                f"{name}[{i}] has shape {each.shape}, {name}[0] has {parts[0].shape}: expected one shape"
            )
        if (each.dtype.kind in "US") != (parts[0].dtype.kind in "US"):
            kinds = f"dtype {each.dtype}, {name}[0] has {parts[0].dtype}"
            raise TypeError(f"{name}[{i}] has {kinds}: expected text in all of them, or numbers")
    return np.stack(parts)


def check_array(name: str, value: object, axes: str) -> NDArray[Any]:
    """*value* as a non-empty array with the axes named in *axes*, ``"runs, items"``."""
    array = as_array(name, value)
    if array.ndim != axes.count(",") + 1 or not array.size:
        empty = " without elements" if not array.size else ""
        raise ValueError(f"{name} has shape {array.shape}{empty}: expected ({axes})")
    return array


def check_numbers(name: str, value: object, axes: str) -> NDArray[np.float64]:
    """As :func:`check_array`, of finite real numbers, converted to float64."""
    array = check_array(name, value, axes)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} has dtype {array.dtype}: expected real numbers")
    wide = array.astype(np.float64)
    if not np.isfinite(wide).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(wide))[0])
        raise ValueError(f"{name}{list(index)} is {wide[index]}: expected finite numbers")
    return wide


def check_labels(name: str, value: object, axes: str) -> NDArray[Any]:
    """As :func:`check_array`, of class labels: integers, bools, text, or integral floats."""
    array = check_array(name, value, axes)
    if array.dtype.kind == "c":
        raise TypeError(f"{name} has dtype {array.dtype}: expected class labels")
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise ValueError(f"{name} holds a NaN: expected class labels")
    if array.dtype.kind == "f" and (array != np.rint(array)).any():
        score = array[array != np.rint(array)][0]
        raise ValueError(f"{name} holds {score}: expected class labels; take the argmax of scores first")
    return array


def to_python_scalar(value: Any) -> Any:
    """A numpy scalar as a Python scalar."""
    return value.item() if isinstance(value, np.generic) else value
