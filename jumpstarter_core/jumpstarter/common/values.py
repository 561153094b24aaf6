"""Python values as `google.protobuf.Value`, built and read directly.

The wire knows null, bool, number (a double), string, list and struct. What else a driver or client may give is folded
into these: enums by value, models and dataclasses as structs, dates and durations as ISO 8601 text, identifiers, paths and
addresses as text, sets and generators as lists. NaN and the infinities have no JSON form and become null.
Whole numbers within +-2**53 come back as `int`; larger ones are not exact and come back as `float`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.struct_pb2 import NULL_VALUE, Value

_EXACT = 2**53


def encode_value(value: Any) -> Value:
    """The protobuf Value of *value*.

    Raises ValueError when *value* (or something in it) has no form on the wire: bytes that are not UTF-8, an object of an
    unknown class. The message names the type.
    """
    message = Value()
    fill_value(message, value)
    return message


def fill_value(message: Value, value: Any) -> None:
    """Write *value* into *message*, which is empty; raises as `encode_value`.

    In place, because messages that are given to a constructor are copied, once for every level of nesting.
    """
    kind = type(value)
    if kind is str:
        message.string_value = value
    elif kind is int:
        try:
            message.number_value = value
        except OverflowError:
            raise ValueError("a whole number beyond 1e308 cannot be sent: send it as text") from None
    elif kind is float:
        _fill_float(message, value)
    elif kind is bool:
        message.bool_value = value
    elif kind is dict:
        fields = message.struct_value.fields
        message.struct_value.SetInParent()
        for key, item in value.items():
            fill_value(fields[key if type(key) is str else _key(key)], item)
    elif kind is list or kind is tuple:
        add = message.list_value.values.add
        message.list_value.SetInParent()
        for item in value:
            fill_value(add(), item)
    elif value is None:
        message.null_value = NULL_VALUE
    else:
        fill_value(message, _simplify(value))


def _fill_float(message: Value, value: float) -> None:
    if math.isfinite(value):
        message.number_value = value
    else:
        message.null_value = NULL_VALUE


def _key(key: Any) -> str:
    simple = key if key is None or isinstance(key, (str, bool, int, float)) else _simplify(key)
    if isinstance(simple, bool):
        return "true" if simple else "false"
    if isinstance(simple, (list, dict)):
        raise ValueError(f"a dictionary key of type {type(key).__name__} cannot be sent: use text")
    return str(simple)


def _simplify(value: Any) -> Any:
    """*value* in terms of None, bool, int, float, str, list and dict, one level deep."""
    import dataclasses
    import enum

    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, bool):
        return bool(value)
    for base in (str, int, float):
        if isinstance(value, base):
            return base(value)
    if isinstance(value, (bytes, bytearray)):
        return _text_of_bytes(bytes(value))
    if hasattr(value, "model_dump"):  # pydantic, without importing it
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if (text := _text_of(value)) is not None:
        return text
    if isinstance(value, Iterable) and not isinstance(value, memoryview):
        return list(value)
    raise ValueError(
        f"a value of type {type(value).__name__} cannot be sent: use numbers, text, lists or dictionaries"
    )


def _text_of_bytes(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"bytes that are not UTF-8 text cannot be sent as a value ({error}): use a stream"
        ) from None


def _text_of(value: Any) -> str | None:
    """Text for the standard library's scalar types; None for everything else."""
    import datetime
    import decimal
    import ipaddress
    import os
    import uuid

    if isinstance(value, datetime.timedelta):
        return iso_duration(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    if isinstance(
        value,
        (
            uuid.UUID,
            decimal.Decimal,
            complex,
            ipaddress.IPv4Address,
            ipaddress.IPv6Address,
            ipaddress.IPv4Network,
            ipaddress.IPv6Network,
            ipaddress.IPv4Interface,
            ipaddress.IPv6Interface,
        ),
    ):
        return str(value)
    return None


def iso_duration(value: Any) -> str:
    """A `datetime.timedelta` as ISO 8601 text, such as ``P1DT2H30M1.5S``; a negative one starts with ``-``."""
    seconds = value.total_seconds()
    sign = "-" if seconds < 0 else ""
    value = abs(value)
    minutes, second = divmod(value.seconds, 60)
    hours, minute = divmod(minutes, 60)
    tail = f"{second + value.microseconds / 1e6:.6f}".rstrip("0").rstrip(".")
    parts = [f"{hours}H" if hours else "", f"{minute}M" if minute else "", f"{tail}S" if tail != "0" else ""]
    time = "".join(parts)
    day = f"{value.days}D" if value.days else ""
    if not day and not time:
        return "PT0S"
    return f"{sign}P{day}{'T' if time else ''}{time}"


def decode_value(value: Value) -> Any:
    """The Python form of *value*: None, bool, int, float, str, list or dict."""
    kind = value.WhichOneof("kind")
    if kind == "number_value":
        return _number(value.number_value)
    if kind == "string_value":
        return value.string_value
    if kind == "struct_value":
        # Not items(): protobuf's maps have only the slow one of their base class.
        fields = value.struct_value.fields
        return {key: decode_value(fields[key]) for key in fields}
    if kind == "list_value":
        return [decode_value(item) for item in value.list_value.values]
    if kind == "bool_value":
        return value.bool_value
    return None


def _number(number: float) -> int | float:
    return int(number) if number.is_integer() and -_EXACT <= number <= _EXACT else number
