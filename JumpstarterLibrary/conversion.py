"""Values at the edge between Robot Framework and a client's methods: types of arguments, results, secrets.

Pure functions. A client's annotation becomes the type that Robot converts to (`robot_type`), and a value that
Robot converted becomes what the client wants (`to_client`):

========================================  =========================  =====================
client                                    Robot                      given to the client
========================================  =========================  =====================
int or float named as a time in seconds   ``timedelta``              seconds
str named as a password or token          ``Secret | str``           the plain text
``str | os.PathLike``                     ``str | Path``             as it is
dataclass or pydantic model               ``dict``                   an object of the class
all else that Robot converts              the same                   as it is
========================================  =========================  =====================
"""

from __future__ import annotations

import dataclasses
import inspect
import os
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

from jumpstarter.common.exceptions import ArgumentError
from robot.api.types import Secret
from robot.utils import secs_to_timestr

UNRESOLVED = object()
"""Stands for an annotation whose names exist for type checkers only."""

_TIME_NAME = re.compile(r"(^|_)(timeout|wait|delay|interval|duration|period|seconds?|secs?)$")
_SECRET_NAME = re.compile(r"(^|_)(password|passphrase|token|secret)$")
_PLAIN = (str, int, float, bool, bytes, bytearray, Decimal, datetime, date, timedelta, Path, type(None), list)
_PLAIN += (tuple, dict, set, frozenset, Secret, Mapping, Sequence, object)  # type: ignore[assignment]

Converter = Callable[[Any], Any]


class UnsupportedTypeError(TypeError):
    """Raised when Robot cannot convert to an annotation, such as an open file or a library's own handle."""


def is_time(name: str) -> bool:
    """Whether a number of this name is a time in seconds."""
    return _TIME_NAME.search(name) is not None


def is_secret(name: str) -> bool:
    """Whether a text of this name must stay out of logs."""
    return _SECRET_NAME.search(name) is not None


def resolve_annotation(annotation: Any, namespace: dict[str, Any]) -> Any:
    """The type that *annotation* means in a module's *namespace*, `UNRESOLVED` if its names are not there."""
    if annotation is inspect.Parameter.empty:
        return Any
    holder = types.SimpleNamespace(__annotations__={"it": annotation})
    try:
        return typing.get_type_hints(holder, globalns=namespace)["it"]
    except NameError:
        return UNRESOLVED


def robot_type(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> Any:
    """The type that Robot converts argument *name* to; `Any` if it is to be left alone.

    Raises `UnsupportedTypeError` when no conversion of Robot's gives what the annotation asks for.
    """
    if annotation is UNRESOLVED:
        return Any
    if annotation is Any:
        plain_default = default is not inspect.Parameter.empty and isinstance(
            default, (bool, int, float, str)
        )
        if not plain_default:
            return Any
        annotation = type(default)
    members = _union_members(annotation)
    if is_time(name) and {int, float} & set(members):
        members = [timedelta, *(m for m in members if m not in (int, float))]
    elif is_secret(name) and str in members:
        members = [Secret, *members]
    mapped = [_map_member(member) for member in members]
    return typing.Union[tuple(mapped)] if len(mapped) > 1 else mapped[0]  # noqa: UP007 - built at run time


def _union_members(annotation: Any) -> list[Any]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return list(typing.get_args(annotation))
    return [annotation]


def _map_member(annotation: Any) -> Any:
    origin = typing.get_origin(annotation)
    if annotation is Any or origin is typing.Literal:
        return annotation
    if annotation is os.PathLike or origin is os.PathLike:
        return Path
    if origin is not None:
        return _map_generic(annotation, origin)
    if typing.is_typeddict(annotation) or annotation in _PLAIN:
        return annotation
    if inspect.isclass(annotation):
        if issubclass(annotation, Enum):
            return annotation
        if issubclass(annotation, UUID):
            return str
        if is_record_class(annotation):
            return dict
    raise UnsupportedTypeError(f"Robot Framework has no conversion to {annotation!r}")


def _map_generic(annotation: Any, origin: Any) -> Any:
    """Keep ``list[str]``; a container of something that Robot does not know keeps its outer type only."""
    if origin not in _PLAIN:
        raise UnsupportedTypeError(f"Robot Framework has no conversion to {annotation!r}")
    simple = (str, int, float, bool, bytes, Any, Ellipsis)
    return annotation if all(arg in simple for arg in typing.get_args(annotation)) else origin


def is_record_class(annotation: Any) -> bool:
    """Whether *annotation* is a dataclass or a pydantic model (told by its method, to import nothing)."""
    return inspect.isclass(annotation) and (
        dataclasses.is_dataclass(annotation) or hasattr(annotation, "model_validate")
    )


def check_bool(name: str, value: Any, annotation: Any = bool) -> None:
    """Raise ArgumentError for a word that is neither yes nor no: Robot hands it on as it is, and it would count as yes."""
    members = _union_members(annotation)
    if isinstance(value, str) and bool in members and not {str, Any} & set(members):
        raise ArgumentError(f"{name} is {value!r}, expected true or false")


def to_client(value: Any, annotation: Any) -> Any:
    """What a client's method wants for *value* as Robot converted it: plain text, seconds, an object."""
    if isinstance(value, Secret):
        return value.value
    members = _union_members(annotation)
    if isinstance(value, timedelta) and timedelta not in members:
        return seconds(value, whole=float not in members and int in members)
    if isinstance(value, dict) and dict not in members:
        for record in filter(is_record_class, members):
            return record.model_validate(value) if hasattr(record, "model_validate") else record(**value)
    return value


def seconds(value: timedelta, *, whole: bool = False) -> float | int:
    """*value* in seconds; a whole number if it is one, or rounded up where the client wants an int."""
    amount = value.total_seconds()
    if amount == int(amount):
        return int(amount)
    return int(amount) + 1 if whole else amount


def display_default(name: str, default: Any, robot: Any) -> Any:
    """How a default is shown in the keyword's documentation; Robot never passes it on."""
    if isinstance(default, timedelta):
        return time_text(default)
    if isinstance(default, str):
        return Secret(default) if is_secret(name) else default.encode("unicode_escape").decode()
    is_number = isinstance(default, (int, float)) and not isinstance(default, bool)
    return time_text(default) if is_number and timedelta in _union_members(robot) else default


def time_text(amount: float | timedelta) -> str:
    """A time in words: ``2 minutes 5 seconds``."""
    text: str = secs_to_timestr(amount.total_seconds() if isinstance(amount, timedelta) else amount)
    return text


def describe(value: Any) -> str:
    """A result in one line for the log; a record as ``voltage=5.0  current=2.0``."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return "  ".join(f"{f.name}={getattr(value, f.name)!r}" for f in dataclasses.fields(value))
    fields = getattr(type(value), "model_fields", None)
    if isinstance(fields, dict):
        return "  ".join(f"{name}={getattr(value, name)!r}" for name in fields)
    return repr(value)


def is_record(value: Any) -> bool:
    """Whether *value* is an object of a dataclass or a pydantic model."""
    return not isinstance(value, type) and is_record_class(type(value))


def mask(text: str, secrets: Sequence[str]) -> str:
    """*text* with every one of the *secrets* replaced by ``<secret>``."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "<secret>")
    return text
