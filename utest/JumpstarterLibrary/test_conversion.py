import dataclasses
import enum
import inspect
import os
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel
from robot.api.types import Secret

from JumpstarterLibrary.conversion import (
    UNRESOLVED,
    UnsupportedTypeError,
    describe,
    display_default,
    mask,
    resolve_annotation,
    robot_type,
    time_text,
    to_client,
)


class Color(enum.Enum):
    RED = 1


class Reading(BaseModel):
    voltage: float
    current: float


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


class Handle: ...


@pytest.mark.parametrize(
    ("name", "annotation", "expected"),
    [
        ("timeout", float, timedelta),
        ("timeout", int | None, timedelta | None),
        ("expire_second", int, timedelta),
        ("connect_timeout", float | None, timedelta | None),
        ("retries", int, int),
        ("wait", bool, bool),
        ("timeout_count", int, int),
        ("password", str, Secret | str),
        ("auth_token", str | None, Secret | str | None),
        ("tokens", str, str),
        ("path", str | os.PathLike[str], str | Path),
        ("path", Path, Path),
        ("color", Color, Color),
        ("mode", Literal["rb", "wb"], Literal["rb", "wb"]),
        ("data", bytes, bytes),
        ("labels", dict[str, str], dict[str, str]),
        ("paths", dict[str, os.PathLike[str]], dict),
        ("reading", Reading, dict),
        ("point", Point | None, dict | None),
        ("anything", Any, Any),
        ("unknown", UNRESOLVED, Any),
    ],
)
def test_a_clients_annotation_becomes_robots_type(name, annotation, expected):
    assert robot_type(name, annotation) == expected


def test_without_annotation_a_plain_default_tells_the_type():
    assert robot_type("count", Any, 3) is int
    assert robot_type("wait", Any, 2.0) is timedelta
    assert robot_type("what", Any, None) is Any
    assert robot_type("what", Any) is Any


@pytest.mark.parametrize("annotation", [Handle, Handle | None, type[int], inspect.Signature])
def test_what_robot_cannot_convert_is_refused(annotation):
    with pytest.raises(UnsupportedTypeError, match="no conversion"):
        robot_type("thing", annotation)


@pytest.mark.parametrize(
    ("value", "annotation", "expected"),
    [
        (timedelta(seconds=10), int, 10),
        (timedelta(seconds=10), float, 10),
        (timedelta(seconds=1.5), float, 1.5),
        (timedelta(seconds=1.2), int, 2),
        (timedelta(seconds=1.5), timedelta, timedelta(seconds=1.5)),
        (timedelta(seconds=1.5), timedelta | None, timedelta(seconds=1.5)),
        (None, float | None, None),
        (Secret("x"), str, "x"),
        ("x", str, "x"),
        ({"voltage": 5, "current": 1}, Reading, Reading(voltage=5, current=1)),
        ({"x": 1}, Point | None, Point(1)),
        ({"x": 1}, dict, {"x": 1}),
        ("free", UNRESOLVED, "free"),
    ],
)
def test_robots_value_becomes_what_the_client_wants(value, annotation, expected):
    converted = to_client(value, annotation)
    assert converted == expected
    assert type(converted) is type(expected)


def test_an_annotation_for_type_checkers_only_is_unresolved():
    assert resolve_annotation("Missing | None", {}) is UNRESOLVED
    assert resolve_annotation("int | None", {}) == int | None
    assert resolve_annotation(inspect.Parameter.empty, {}) is Any


def test_a_default_in_seconds_is_shown_in_words():
    assert display_default("wait", 2, timedelta) == "2 seconds"
    assert display_default("count", 2, int) == 2
    assert display_default("destroy", False, bool) is False
    assert "hunter2" not in str(display_default("password", "hunter2", Secret | str))


def test_records_are_described_in_one_line():
    assert describe(Reading(voltage=5, current=2)) == "voltage=5.0  current=2.0"
    assert describe(Point(1, 2)) == "x=1  y=2"
    assert describe([1, "a"]) == "[1, 'a']"


def test_secrets_are_masked_longest_first():
    assert mask("token abcdef and abc", ["abc", "abcdef", ""]) == "token <secret> and <secret>"


def test_times_are_told_in_words():
    assert time_text(timedelta(minutes=2, seconds=5)) == "2 minutes 5 seconds"
    assert time_text(0.3) == "300 milliseconds"
