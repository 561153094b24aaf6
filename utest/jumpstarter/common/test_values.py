"""Values on the wire: the table of what drivers and clients may give, and what the other side sees."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import ipaddress
import math
import uuid
from collections import OrderedDict
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Value
from hypothesis import given
from hypothesis import strategies as st
from jumpstarter.common.serde import decode_value, encode_value
from jumpstarter.common.values import iso_duration
from pydantic import BaseModel


class Colour(enum.Enum):
    RED = "red"


class Number(enum.IntEnum):
    TWO = 2


class Mode(enum.StrEnum):
    ON = "on"


class Reading(BaseModel):
    volts: float
    at: datetime.timedelta


@dataclasses.dataclass
class Point:
    x: int
    inner: Any = None


class Text(str):
    """A subclass of str, as libraries have them."""


_ID = uuid.UUID("12345678-1234-5678-1234-567812345678")

TABLE: list[tuple[Any, str, Any]] = [
    (None, "null_value", None),
    (math.nan, "null_value", None),
    (math.inf, "null_value", None),
    (-math.inf, "null_value", None),
    (True, "bool_value", True),
    (False, "bool_value", False),
    (0, "number_value", 0),
    (-7, "number_value", -7),
    (2**53, "number_value", 2**53),
    (-(2**53), "number_value", -(2**53)),
    (1.5, "number_value", 1.5),
    (3.0, "number_value", 3),
    (Number.TWO, "number_value", 2),
    ("", "string_value", ""),
    ("ä\n€", "string_value", "ä\n€"),
    (Text("sub"), "string_value", "sub"),
    (Colour.RED, "string_value", "red"),
    (Mode.ON, "string_value", "on"),
    (_ID, "string_value", str(_ID)),
    (Path("/tmp/x"), "string_value", "/tmp/x"),
    (PurePosixPath("a/b"), "string_value", "a/b"),
    (ipaddress.ip_address("10.0.0.1"), "string_value", "10.0.0.1"),
    (ipaddress.ip_network("fe80::/64"), "string_value", "fe80::/64"),
    (decimal.Decimal("1.10"), "string_value", "1.10"),
    (1 + 2j, "string_value", "(1+2j)"),
    (b"text", "string_value", "text"),
    (bytearray(b"text"), "string_value", "text"),
    (datetime.datetime(2026, 1, 2, 3, 4, 5), "string_value", "2026-01-02T03:04:05"),
    (datetime.date(2026, 1, 2), "string_value", "2026-01-02"),
    (datetime.timedelta(seconds=90), "string_value", "PT1M30S"),
    ([], "list_value", []),
    ([1, [2, "x"]], "list_value", [1, [2, "x"]]),
    ((1, 2), "list_value", [1, 2]),
    ({5}, "list_value", [5]),
    (frozenset({5}), "list_value", [5]),
    (range(3), "list_value", [0, 1, 2]),
    ({}, "struct_value", {}),
    ({"a": {"b": [None]}}, "struct_value", {"a": {"b": [None]}}),
    ({1: 2, None: 3, False: 4}, "struct_value", {"1": 2, "None": 3, "false": 4}),
    ({Colour.RED: 1, _ID: 2}, "struct_value", {"red": 1, str(_ID): 2}),
    (OrderedDict(a=1), "struct_value", {"a": 1}),
    (MappingProxyType({"a": 1}), "struct_value", {"a": 1}),
    (Point(1, Point(2)), "struct_value", {"x": 1, "inner": {"x": 2, "inner": None}}),
    (
        Reading(volts=5, at=datetime.timedelta(hours=1)),
        "struct_value",
        {"volts": 5, "at": "PT1H"},
    ),
]


@pytest.mark.parametrize(("value", "kind", "seen"), TABLE, ids=lambda v: str(v)[:30])
def test_every_documented_type_has_its_form(value: Any, kind: str, seen: Any) -> None:
    message = encode_value(value)
    assert message.WhichOneof("kind") == kind
    decoded = decode_value(Value.FromString(message.SerializeToString()))
    assert decoded == seen
    assert type(decoded) is type(seen)


def test_a_generator_becomes_a_list() -> None:
    assert decode_value(encode_value(n * n for n in range(3))) == [0, 1, 4]


def test_a_whole_number_beyond_the_exact_range_comes_back_as_float() -> None:
    decoded = decode_value(encode_value(2**60))
    assert decoded == float(2**60)
    assert isinstance(decoded, float)


def test_an_absent_message_is_none() -> None:
    assert decode_value(Value()) is None


@pytest.mark.parametrize(
    "value",
    [object(), ValueError("x"), memoryview(b"x"), [object()], {"a": {"b": object()}}],
    ids=["object", "exception", "memory", "in a list", "in a dictionary"],
)
def test_a_value_without_a_form_is_refused_with_its_type(value: Any) -> None:
    with pytest.raises(ValueError, match=r"type (object|ValueError|memoryview) cannot be sent"):
        encode_value(value)


@pytest.mark.parametrize("value", [b"\xff\xfe", bytearray(b"\x80"), [b"\xff"]])
def test_bytes_that_are_no_text_are_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"not UTF-8 text cannot be sent.*use a stream"):
        encode_value(value)


def test_a_number_that_no_double_holds_is_refused_as_a_value() -> None:
    with pytest.raises(ValueError, match="beyond 1e308"):
        encode_value(10**400)


def test_text_that_is_no_unicode_is_refused_as_a_value() -> None:
    with pytest.raises(ValueError):
        encode_value("\ud800")


def test_a_list_as_a_key_is_refused() -> None:
    with pytest.raises(ValueError, match="dictionary key of type tuple"):
        encode_value({(1, 2): 3})


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@given(json_values)
def test_what_json_can_say_comes_back_equal(value: Any) -> None:
    assert decode_value(Value.FromString(encode_value(value).SerializeToString())) == value


@given(json_values)
def test_the_wire_form_is_the_one_of_protobufs_own_json(value: Any) -> None:
    expected = json_format.ParseDict(value, Value())
    assert encode_value(value) == expected


@given(st.timedeltas(datetime.timedelta(days=-4000), datetime.timedelta(days=4000)))
def test_durations_are_what_pydantic_reads(value: datetime.timedelta) -> None:
    from pydantic import TypeAdapter

    assert TypeAdapter(datetime.timedelta).validate_python(iso_duration(value)) == value
