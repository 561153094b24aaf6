"""Dataclass fields as keys of a configuration file.

A field may carry, in its metadata: ``key`` (its name in the file, where that differs), ``synonyms`` (further
names), ``minimum`` and ``above`` (limits of a number), ``convert`` (a function that replaces the rules of
`jumpstarter.config.schema`), ``internal`` (not in the file) and ``keep`` (written even as its default).
"""

from __future__ import annotations

import dataclasses
import enum
import typing
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID


def file_fields(cls: type) -> list[dataclasses.Field[Any]]:
    """The fields that a file may give."""
    fields = dataclasses.fields(cls)
    return [field for field in fields if field.init and not field.metadata.get("internal")]


def names_of(field: dataclasses.Field[Any]) -> tuple[str, ...]:
    return (field.metadata.get("key", field.name), *field.metadata.get("synonyms", ()))


def keys_of(cls: type) -> str:
    return "the keys " + ", ".join(names_of(field)[0] for field in file_fields(cls))


def is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def hint_of(cls: type, field: dataclasses.Field[Any]) -> Any:
    return _hints(cls).get(field.name, Any)


def default_of(field: dataclasses.Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default


@cache
def _hints(cls: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except (NameError, TypeError):  # an annotation that exists for type checkers only
        return {}


def to_plain(value: Any) -> Any:
    """*value*, a model or part of one, as the plain data that a file holds, without what has its default."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        data = {}
        for field in file_fields(type(value)):
            item = getattr(value, field.name)
            if is_required(field) or field.metadata.get("keep") or item != default_of(field):
                data[names_of(field)[0]] = to_plain(item)
        return data
    if isinstance(value, Mapping):
        return {name: to_plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, enum.Enum):
        return value.value
    return str(value) if isinstance(value, Path | UUID) else value
