"""Checks nodes against Python annotations and makes values of them.

The same rules read configuration files into dataclasses and the ``config`` of a driver into the arguments of
its class:

- ``str`` takes text only, ``int`` whole numbers only, ``float`` any number, ``bool`` booleans only: ``22`` is
  no text and ``"22"`` is no number;
- ``Path``, ``UUID`` and enums are made from text, ``timedelta`` from a duration, dataclasses from mappings;
- ``X | Y`` takes what one of them takes, the first that fits;
- an annotation that is not understood takes anything.

A dataclass field can say more in its metadata: see `jumpstarter.config.fields`.
"""

from __future__ import annotations

import dataclasses
import enum
import sys
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from jumpstarter.common.exceptions import ArgumentError
from jumpstarter.common.suggestions import did_you_mean
from jumpstarter.config.fields import default_of, file_fields, hint_of, is_required, keys_of, names_of
from jumpstarter.config.loader import Entry, KeyPath, Node, Problems, describe

INVALID: Any = object()
"""Returned by `convert` when it added a problem."""

_MAPPINGS = (dict, Mapping, typing.Mapping)
_LISTS = {list: list, tuple: tuple, set: set, frozenset: frozenset}
_ABSTRACT_LISTS = (Sequence, Iterable, Collection)
_NAMES = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
    Path: "a path",
    UUID: "a UUID",
    timedelta: "a duration",
}


def convert(node: Node, annotation: Any, where: KeyPath, problems: Problems) -> Any:
    """The value of *node* as *annotation* wants it; INVALID, with a problem added, when it does not fit."""
    annotation = _unwrap(annotation)
    if annotation in (Any, object):
        return node.plain()
    own = getattr(annotation, "from_node", None)
    if own is not None:
        return own(node, where, problems)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return _convert_union(node, arguments, where, problems)
    if origin is typing.Literal:
        return _convert_literal(node, arguments, where, problems)
    if origin is typing.Annotated:
        return _convert_annotated(node, annotation, where, problems)
    kind = origin or annotation
    if kind in _MAPPINGS:
        return _convert_mapping(node, arguments, where, problems)
    if kind in _LISTS or kind in _ABSTRACT_LISTS:
        return _convert_list(node, kind, arguments, where, problems)
    if isinstance(kind, type):
        return _convert_class(node, kind, where, problems)
    return node.plain()


def convert_fields(cls: type, node: Node, where: KeyPath, problems: Problems) -> dict[str, Any]:
    """The arguments for dataclass *cls* that a mapping gives; unknown and missing keys become problems.

    A field whose value does not fit is left out.
    """
    if not node.is_mapping:
        problems.add(node, where, f"found {describe(node, where)}; expected a mapping with {keys_of(cls)}")
        return {}
    fields = file_fields(cls)
    names = {name: field for field in fields for name in names_of(field)}
    values: dict[str, Any] = {}
    for entry in node.entries():
        at = (*where, entry.raw_key)
        field = names.get(entry.raw_key)
        if not isinstance(entry.key, str):
            problems.add(entry, at, misread_key(entry))
        elif field is None:
            expected = ", ".join(names_of(field)[0] for field in fields)
            suggestion = did_you_mean(entry.raw_key, names)
            problems.add(entry, at, f"unknown key; expected one of {expected}{suggestion}")
        elif field.name in values:
            problems.add(entry, at, f"duplicate key; it means the same as '{names_of(field)[0]}'")
        else:
            values[field.name] = _convert_field(cls, field, entry.node, at, problems)
    for field in fields:
        if field.name not in values and is_required(field):
            problems.add(
                node, (*where, names_of(field)[0]), f"missing; expected {expected_text(hint_of(cls, field))}"
            )
    return {name: value for name, value in values.items() if value is not INVALID}


def restore_field(model: object, name: str, node: Node | None) -> None:
    """Set the field that is called *name* in files to what *node* says, or without a node to its default."""
    cls = type(model)
    field = next(field for field in file_fields(cls) if name in names_of(field))
    if node is not None:
        value = _convert_field(cls, field, node, (name,), Problems(""))
        if value is not INVALID:
            setattr(model, field.name, value)
    elif not is_required(field):
        setattr(model, field.name, default_of(field))


def misread_key(entry: Entry) -> str:
    """What to say of a key that YAML does not read as text, such as ``on``."""
    as_read = describe(Node(entry.key, entry.line, entry.raw_key))
    return f'key is read by YAML as {as_read}; expected text; quote it: "{entry.raw_key}"'


def expected_text(annotation: Any) -> str:
    """What *annotation* takes, in words."""
    annotation = _unwrap(annotation)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return expected_text(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return _expected_of_union(arguments)
    if origin is typing.Literal:
        return _one_of(arguments)
    kind = origin or annotation
    if kind in _NAMES:
        return _NAMES[kind]
    if kind in _MAPPINGS:
        return "a mapping"
    if kind in _LISTS or kind in _ABSTRACT_LISTS:
        return f"a list of {expected_text(arguments[0])}" if arguments else "a list"
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _one_of([member.value for member in kind])
    if dataclasses.is_dataclass(kind):
        return f"a mapping with {keys_of(kind)}" if isinstance(kind, type) else "a mapping"
    return str(getattr(kind, "__name__", kind))


def _expected_of_union(members: Sequence[Any]) -> str:
    """`X | None` is said as `X`: who writes the key wants the X."""
    wanted = [member for member in members if member not in (None, type(None))]
    return " or ".join(dict.fromkeys(expected_text(member) for member in wanted)) or "null"


def _unwrap(annotation: Any) -> Any:
    """What an alias, a NewType or an InitVar stands for."""
    while True:
        if annotation is None:
            return type(None)
        if isinstance(annotation, dataclasses.InitVar):
            annotation = annotation.type
        elif hasattr(annotation, "__supertype__"):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        elif typing.get_origin(annotation) in (typing.Final, typing.Required, typing.NotRequired):
            annotation = typing.get_args(annotation)[0]
        else:
            return annotation


def _convert_field(
    cls: type, field: dataclasses.Field[Any], node: Node, at: KeyPath, problems: Problems
) -> Any:
    own: Callable[[Node, KeyPath, Problems], Any] | None = field.metadata.get("convert")
    value = own(node, at, problems) if own else convert(node, hint_of(cls, field), at, problems)
    if value is INVALID or value is None:
        return value
    minimum, above = field.metadata.get("minimum"), field.metadata.get("above")
    if minimum is not None and value < minimum:
        problems.add(node, at, f"found {value}; expected {minimum} or more")
        return INVALID
    if above is not None and value <= above:
        problems.add(node, at, f"found {value}; expected more than {above}")
        return INVALID
    return value


def _convert_union(node: Node, members: Sequence[Any], where: KeyPath, problems: Problems) -> Any:
    failures = []
    for member in members:
        attempt = Problems(problems.file, problems.check_drivers)
        value = convert(node, member, where, attempt)
        if value is not INVALID and not attempt:
            return value
        failures.append((member, attempt))
    # Where only one member has the shape of what was found, what is wrong inside is what the user needs.
    alike = [attempt for member, attempt in failures if _same_shape(node, member)]
    if len(alike) == 1:
        problems.found += [found for found in alike[0].found if found not in problems.found]
        return INVALID
    return _wrong(node, _expected_of_union(members), where, problems)


def _same_shape(node: Node, annotation: Any) -> bool:
    annotation = _unwrap(annotation)
    kind = typing.get_origin(annotation) or annotation
    is_mapping = kind in _MAPPINGS or dataclasses.is_dataclass(kind) or hasattr(kind, "model_validate")
    is_list = kind in _LISTS or kind in _ABSTRACT_LISTS
    return (node.is_mapping and is_mapping) or (node.is_list and is_list)


def _convert_literal(node: Node, choices: Sequence[Any], where: KeyPath, problems: Problems) -> Any:
    for choice in choices:
        if type(node.value) is type(choice) and node.value == choice:
            return choice
    return _wrong_choice(node, choices, where, problems)


def _convert_annotated(node: Node, annotation: Any, where: KeyPath, problems: Problems) -> Any:
    value = convert(node, typing.get_args(annotation)[0], where, problems)
    if value is INVALID or "pydantic" not in sys.modules:
        return value
    # Limits in an annotation are pydantic's or annotated-types'; only pydantic knows all of them.
    return _validate_with_pydantic(annotation, node, where, problems)


def _convert_mapping(node: Node, arguments: Sequence[Any], where: KeyPath, problems: Problems) -> Any:
    if not node.is_mapping:
        return _wrong(node, "a mapping", where, problems)
    key_type, value_type = arguments if len(arguments) == 2 else (Any, Any)
    result, valid = {}, True
    for entry in node.entries():
        at = (*where, entry.raw_key)
        entry_key = Node(entry.key, entry.line, entry.raw_key, entry.node.source)
        if _unwrap(key_type) is str and not isinstance(entry.key, str):
            problems.add(entry, at, misread_key(entry))
            name = entry.raw_key
        else:
            name = convert(entry_key, key_type, at, problems)
        value = convert(entry.node, value_type, at, problems)
        if name is INVALID or value is INVALID:
            valid = False
        else:
            result[name] = value
    return result if valid else INVALID


def _convert_list(node: Node, kind: Any, arguments: Sequence[Any], where: KeyPath, problems: Problems) -> Any:
    if not node.is_list:
        item = expected_text(arguments[0]) if arguments and arguments[0] is not Any else ""
        return _wrong(node, f"a list of {item}" if item else "a list", where, problems)
    if kind is tuple and arguments and arguments[-1] is not Ellipsis:
        if len(arguments) != len(node.value):
            problems.add(
                node, where, f"found a list of {len(node.value)}; expected a list of {len(arguments)}"
            )
            return INVALID
        types_of_items = list(arguments)
    else:
        types_of_items = [arguments[0] if arguments else Any] * len(node.value)
    items = [
        convert(item, item_type, (*where, index), problems)
        for index, (item, item_type) in enumerate(zip(node.value, types_of_items, strict=True))
    ]
    return INVALID if any(item is INVALID for item in items) else _LISTS.get(kind, list)(items)


def _convert_class(node: Node, cls: type, where: KeyPath, problems: Problems) -> Any:
    value = node.value
    if hasattr(cls, "model_validate") or hasattr(cls, "__pydantic_validator__"):
        return _validate_with_pydantic(cls, node, where, problems)
    if issubclass(cls, enum.Enum):
        return _convert_enum(node, cls, where, problems)
    if dataclasses.is_dataclass(cls):
        before = len(problems.found)
        arguments = convert_fields(cls, node, where, problems)
        return cls(**arguments) if len(problems.found) == before else INVALID
    if cls is float and type(value) is int:
        return float(value)
    if cls in (str, int, float, bool, type(None), bytes):
        return value if type(value) is cls else _wrong(node, _NAMES.get(cls, cls.__name__), where, problems)
    if cls in (dict, list):
        fits = node.is_mapping if cls is dict else node.is_list
        return node.plain() if fits else _wrong(node, expected_text(cls), where, problems)
    maker = _MAKERS.get(cls)
    if maker is None:
        return node.plain()
    if not (isinstance(value, str) or (cls is timedelta and type(value) in (int, float))):
        return _wrong(node, _NAMES[cls], where, problems)
    try:
        return maker(value)
    except (ValueError, ArgumentError):
        return _wrong(node, _NAMES[cls], where, problems)


def _make_duration(value: str | float) -> timedelta:
    from jumpstarter.common.durations import parse_duration

    return parse_duration(value)


_MAKERS: dict[type, Callable[[Any], Any]] = {Path: Path, UUID: UUID, timedelta: _make_duration}


def _convert_enum(node: Node, cls: type[enum.Enum], where: KeyPath, problems: Problems) -> Any:
    for member in cls:
        if type(node.value) in (str, int) and node.value in (member.value, member.name):
            return member
    return _wrong_choice(node, [member.value for member in cls], where, problems)


def _validate_with_pydantic(annotation: Any, node: Node, where: KeyPath, problems: Problems) -> Any:
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(annotation).validate_python(node.plain())
    except ValidationError as error:
        for detail in error.errors():
            at = node.at(detail["loc"])
            path = (*where, *detail["loc"])
            problems.add(at, path, f"found {describe(at, path)}; expected: {detail['msg']}")
        return INVALID


def _wrong(node: Node, expected: str, where: KeyPath, problems: Problems) -> Any:
    hint = ""
    if "text" in expected and node.raw and not isinstance(node.value, str | None):
        hint = (
            "; quote it to make it text"
            if describe(node, where).endswith("(not shown)")
            else f'; quote it: "{node.raw}"'
        )
    elif "number" in expected and isinstance(node.value, str) and _is_number(node.value):
        hint = f"; write it without quotes: {node.value}"
    problems.add(node, where, f"found {describe(node, where)}; expected {expected}{hint}")
    return INVALID


def _wrong_choice(node: Node, choices: Sequence[Any], where: KeyPath, problems: Problems) -> Any:
    hint = did_you_mean(str(node.value), [str(choice) for choice in choices]) if node.raw else ""
    problems.add(node, where, f"found {describe(node, where)}; expected {_one_of(choices)}{hint}")
    return INVALID


def _is_number(text: str) -> bool:
    return text.strip().lstrip("+-").replace(".", "", 1).isdecimal()


def _one_of(choices: Sequence[Any]) -> str:
    shown = [repr(choice) if isinstance(choice, str) else str(choice) for choice in choices]
    return shown[0] if len(shown) == 1 else f"one of {', '.join(shown)}"
