"""Records as plain data and back, by the types of their fields: one codec for wires, forks and files.

A record becomes an object of its fields; a field that equals its default is absent. A layout of
:class:`Field` describes files that name or arrange fields in another way. Reading creates only the expected
records, numbers and text, whatever the data are.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, is_dataclass
from functools import partial
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

from pytest_repro.core.checked_json import MAX_INT, JsonNode, format_non_finite

T = TypeVar("T")
Decoder = Callable[[JsonNode], Any]


class Field(NamedTuple):
    """How one field of a record is written.

    Attributes:
        inline: Whether the field is a record, or None, whose keys are among those of the outer record.
        encode: Converts the value to plain data; None is not written if it is the default.
    """

    name: str
    key: str = ""  # key in the file; ``""`` for *name*
    default: Any = MISSING  # value that is not written; if it is not given, that of the record
    same_as: str = ""  # name of an earlier field; an equal value is not written again
    always: bool = False  # whether every value is written
    inline: bool = False
    encode: Callable[[Any], Any] | None = None
    decode: Decoder | None = None  # converts plain data to the value

    def is_absent(self, record: Any, value: Any) -> bool:
        """Whether *value*, the field of *record*, is not written."""
        others = [self.default, *([getattr(record, self.same_as)] if self.same_as else [])]
        # Equal values may differ in type and sign: False and 0, -0.0 and 0.0.
        return not self.always and any(value == each and repr(value) == repr(each) for each in others)


class _Layout(NamedTuple):
    """All fields of a record, with key, default and decoder, and all keys, with those of inline records."""

    fields: tuple[Field, ...]
    keys: frozenset[str]


class Codec:
    """Converts records to plain data and back.

    Args:
        layouts: The written fields of a record, in order, if they are not simply all of them; a name stands
            for a field without options. Other fields are read as their default.
        strict: Whether an unknown key is an error.
    """

    def __init__(self, layouts: Mapping[type, Sequence[str | Field]] = {}, strict: bool = True) -> None:
        self._given = layouts
        self._strict = strict
        self._layouts: dict[type, _Layout] = {}
        self._decoders: dict[Any, Decoder] = {}

    def encode(self, value: Any) -> Any:
        """*value* as JSON has it: text, numbers, lists and objects."""
        if value is None or isinstance(value, (str, int)):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else format_non_finite(value)
        if isinstance(value, complex):
            return self.encode([value.real, value.imag])
        if isinstance(value, bytes):
            return value.decode("latin-1")
        if type(value) in self._layouts or _is_record(type(value)):
            return self._encode_record(value)
        if isinstance(value, (list, tuple)):
            return list(map(self.encode, value))
        if isinstance(value, Mapping):
            return {key: self.encode(each) for key, each in value.items()}
        raise TypeError(f"{type(value).__qualname__} cannot be written")

    def _encode_record(self, record: Any) -> dict[str, Any]:
        plain: dict[str, Any] = {}
        for field in self._get_layout(type(record)).fields:
            value = getattr(record, field.name)
            absent = (value is field.default and not field.always) or field.is_absent(record, value)
            encoded: Any = None if absent else (field.encode or self.encode)(value)
            if not absent and (encoded is not None or field.default is not None):
                plain |= encoded if field.inline else {field.key: encoded}
        return plain

    def decode(self, expected: type[T], node: JsonNode, **given: Any) -> T:
        """The value of the type *expected* at *node*.

        Args:
            expected: The type of a record, or of a field.
            node: What :meth:`encode` returned, if nobody changed it since.
            given: Values of fields that are not read.

        Raises:
            BadJson: *node* does not fit; the message says where.
        """
        decode = partial(self._decode_record, expected, given=given) if given else self._get_decoder(expected)
        return decode(node)  # type: ignore[no-any-return]

    def _decode_record(
        self, record_type: Any, node: JsonNode, given: Mapping[str, Any] = {}, inline: bool = False
    ) -> Any:
        layout, values, present = self._get_layout(record_type), dict(given), node.as_object()
        if inline and layout.keys.isdisjoint(present):
            return None
        if self._strict and not inline and (unknown := present.keys() - layout.keys):
            node.refuse(f"has the unknown key {min(unknown)!r:.40}")
        for field in layout.fields:
            if field.name in given:
                continue
            assert field.decode is not None
            if field.inline:
                values[field.name] = field.decode(node)
            elif field.key in present:
                values[field.name] = field.decode(JsonNode(present[field.key], field.key, node))
            elif field.same_as:
                values[field.name] = values[field.same_as]
            elif field.default is MISSING:
                node.refuse(f"has no {field.key!r}")
            else:
                values[field.name] = dict(field.default) if isinstance(field.default, dict) else field.default
        return record_type(**values)

    def _get_layout(self, record_type: type) -> _Layout:
        if record_type not in self._layouts:
            self._layouts[record_type] = self._make_layout(record_type)
        return self._layouts[record_type]

    def _make_layout(self, record_type: type) -> _Layout:
        defaults, records = _get_defaults(record_type), {kind.__name__: kind for kind in self._given}
        hints = get_type_hints(record_type, localns=records)  # its module may import them for types only
        fields: list[Field] = []
        keys: set[str] = set()
        for entry in self._given.get(record_type, tuple(defaults)):
            field = entry if isinstance(entry, Field) else Field(entry)
            decode, default, key = field.decode, field.default, field.key or field.name
            if field.inline:
                hint = hints[field.name]
                record = next(each for each in (hint, *get_args(hint)) if _is_record(each))
                decode = partial(self._decode_record, record, inline=True)
                keys |= self._get_layout(record).keys
            else:
                decode = decode or self._get_decoder(hints[field.name])
                keys.add(key)
            if default is MISSING and not field.same_as:
                default = defaults[field.name]
            fields.append(field._replace(key=key, default=default, decode=decode))
        return _Layout(tuple(fields), frozenset(keys))

    def _get_decoder(self, expected: Any) -> Decoder:
        if expected not in self._decoders:
            self._decoders[expected] = self._make_decoder(expected)
        return self._decoders[expected]

    def _make_decoder(self, expected: Any) -> Decoder:
        origin, args = get_origin(expected), get_args(expected)
        if _is_record(expected):
            return partial(self._decode_record, expected)
        if origin is Literal:
            return lambda node: node.as_text(*args)
        if origin is tuple:
            return self._make_tuple_decoder(args)
        if origin in (Union, UnionType):
            return self._make_union_decoder(args)
        if origin not in (dict, Mapping):
            return _SCALAR_DECODERS[expected]
        decode = self._get_decoder(args[1])
        return lambda node: {key: decode(each) for key, each in node.items()}

    def _make_tuple_decoder(self, args: tuple[Any, ...]) -> Decoder:
        decoders = [self._get_decoder(arg) for arg in args if arg is not ...]
        if len(decoders) < len(args):
            return lambda node: tuple(map(decoders[0], node))

        def decode(node: JsonNode) -> tuple[Any, ...]:
            items = list(node)
            if len(items) != len(decoders):
                node.refuse(f"is a list of {len(items)}, not of {len(decoders)}")
            return tuple(decoder(item) for decoder, item in zip(decoders, items))

        return decode

    def _make_union_decoder(self, args: tuple[Any, ...]) -> Decoder:
        """Decodes as the first of *args* that is written as the JSON type of the value."""
        texts = tuple(text for arg in args if get_origin(arg) is Literal for text in get_args(arg))
        decoders: dict[type, Decoder] = {str: lambda node: node.as_text(*texts)} if texts else {}
        for arg in args:
            for json_type in _get_json_types(arg):
                decoders.setdefault(json_type, self._get_decoder(arg))
        otherwise = self._get_decoder(args[0])
        return lambda node: decoders.get(type(node.value), otherwise)(node)


def _decode_bytes(node: JsonNode) -> bytes:
    text = node.as_text()
    return text.encode("latin-1") if max(text, default="") <= "\xff" else node.refuse("is not latin-1 text")


def _decode_complex(node: JsonNode) -> complex:
    parts = [part.as_number() for part in node]
    return complex(*parts) if len(parts) == 2 else node.refuse(f"is a list of {len(parts)}, not of 2")


_SCALAR_DECODERS: dict[Any, Decoder] = {
    str: JsonNode.as_text,
    bytes: _decode_bytes,
    bool: JsonNode.as_bool,
    int: lambda node: node.as_int(-MAX_INT),
    float: lambda node: float(node.as_number()),
    complex: _decode_complex,
    object: JsonNode.as_scalar,
    NoneType: lambda node: None,
}

_JSON_TYPES = {bytes: (str,), float: (float, int, str), complex: (list,), tuple: (list,), Mapping: (dict,)}


def _get_json_types(expected: Any) -> tuple[type, ...]:
    origin = get_origin(expected) or expected
    return (dict,) if _is_record(expected) else _JSON_TYPES.get(origin, (origin,))


def _is_record(value: Any) -> bool:
    return isinstance(value, type) and (is_dataclass(value) or hasattr(value, "_fields"))


def _get_defaults(record_type: Any) -> dict[str, Any]:
    if not is_dataclass(record_type):
        return {name: record_type._field_defaults.get(name, MISSING) for name in record_type._fields}
    return {
        field.name: field.default if field.default_factory is MISSING else field.default_factory()
        for field in dataclasses.fields(record_type)
    }
