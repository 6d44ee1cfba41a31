"""Arrays with labels: values, dimensions, coordinates, names and attributes count, encodings do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pytest_repro.adapters import digest, flatten
from pytest_repro.core.runs.pytree import iter_leaves

xr: Any = pytest.importorskip("xarray")


def make_array(**changes: Any) -> Any:
    given: dict[str, Any] = {
        "data": np.arange(6.0).reshape(2, 3),
        "dims": ("time", "place"),
        "coords": {"time": np.array(["2024-01-01", "2024-01-02"], "M8[ns]"), "place": ["a", "b", "c"]},
        "name": "temperature",
        "attrs": {"units": "K"},
    }
    return xr.DataArray(**{**given, **changes})


def list_paths(value: object) -> list[str]:
    return [path for path, _, _ in iter_leaves(value, "", flatten)]


def test_paths_are_what_users_write() -> None:
    assert list_paths(make_array()) == [
        "", ".dims[0]", ".dims[1]", ".attrs['units']", ".name", ".coords['place']",
        ".coords['place'].dims[0]", ".coords['time']", ".coords['time'].dims[0]",
    ]  # fmt: skip
    dataset = xr.Dataset({"b": ("x", [1]), "a": ("x", [2])}, attrs={"source": "me"})
    assert list_paths(dataset) == ["['a']", "['a'].dims[0]", "['b']", "['b'].dims[0]", ".attrs['source']"]
    tree = xr.DataTree.from_dict({"/": dataset, "/child": dataset})
    assert "['child'].dataset['a']" in list_paths(tree)


def test_layouts_encodings_and_the_order_of_variables_are_no_values() -> None:
    array = make_array()
    other = make_array(data=np.asfortranarray(array.values))
    other.encoding["dtype"] = "float32"
    assert (
        digest(array)
        == digest(other)
        == digest(array.copy())
        == digest(xr.concat([array[:1], array[1:]], "time"))
    )
    one, two = ("a", ("x", [1])), ("b", ("x", [2]))
    assert digest(xr.Dataset(dict([one, two]))) == digest(xr.Dataset(dict([two, one])))


@pytest.mark.parametrize(
    "changes",
    [
        {"data": -np.arange(6.0).reshape(2, 3)},
        {"data": np.arange(6).reshape(2, 3)},
        {"dims": ("time", "site"), "coords": {}},
        {"coords": {"time": np.array(["2024-01-01", "2025-01-02"], "M8[ns]"), "place": ["a", "b", "c"]}},
        {"coords": {}},
        {"name": "pressure"},
        {"attrs": {"units": "°C"}},
    ],
)
def test_other_values(changes: dict[str, Any]) -> None:
    assert digest(make_array(**changes)) != digest(make_array())


def test_indexes_and_objects() -> None:
    pd = pytest.importorskip("pandas")
    levels = pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["one", "two"])
    stacked = [
        xr.DataArray(range(4), dims="x", coords=xr.Coordinates.from_pandas_multiindex(each, "x"))
        for each in (levels, levels.copy(), levels[::-1])
    ]
    assert digest(stacked[0]) == digest(stacked[1]) != digest(stacked[2])
    texts = [xr.DataArray(np.array([["a", None], [each, ""]], object)) for each in ("b", "b", "c")]
    assert digest(texts[0]) == digest(texts[1]) != digest(texts[2])
    with pytest.raises(TypeError, match=r"DataArrayGroupBy: record its result, a DataArray or a Dataset"):
        digest(make_array().groupby("time"))


def test_subclasses_keep_their_attributes() -> None:
    class Measured(xr.DataArray):  # type: ignore[misc]
        __slots__ = ("device",)

    one, other = Measured([1.0]), Measured([1.0])
    one.device, other.device = "A", "B"
    assert digest(one) != digest(other)
