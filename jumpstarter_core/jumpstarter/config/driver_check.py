"""Checks the ``config`` of a driver against what its class takes, before anything is constructed."""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.common.suggestions import did_you_mean
from jumpstarter.config.driver_class import driver_class
from jumpstarter.config.loader import Entries, KeyPath, Node, Problems
from jumpstarter.config.schema import INVALID, convert, expected_text, misread_key

# Given by the loader itself, each from its own key beside `config`.
RESERVED = ("children", "description", "methods_description")


def check_driver(node: Node, where: KeyPath, problems: Problems) -> dict[str, Any] | None:
    """The arguments that a node with a ``type`` gives its class; None, with problems added, without one."""
    type_node = node.get("type")
    if type_node is None or not isinstance(type_node.value, str):
        return None
    try:
        cls = driver_class(type_node.value)
    except ConfigurationError as error:
        problems.add(type_node, (*where, "type"), error.message)
        return None
    config = node.get("config")
    if config is None or config.value is None:
        config = Node(Entries(), node.line)
    return check_arguments(cls, config, (*where, "config"), problems) if config.is_mapping else None


def check_arguments(cls: type, config: Node, where: KeyPath, problems: Problems) -> dict[str, Any]:
    """The values of mapping *config* as *cls* wants them; what does not fit is added to *problems*."""
    parameters = _parameters(cls)
    free = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    names = [
        name
        for name, each in parameters.items()
        if each.kind in (each.KEYWORD_ONLY, each.POSITIONAL_OR_KEYWORD)
        and name not in RESERVED
        and not name.startswith("_")
    ]
    arguments = {}
    for entry in config.entries():
        at = (*where, entry.raw_key)
        if not isinstance(entry.key, str):
            problems.add(entry, at, misread_key(entry))
        elif entry.key in RESERVED:
            problems.add(
                entry, at, f"'{entry.key}' does not belong in config; expected beside it, one level up"
            )
        elif entry.key in names:
            value = convert(entry.node, _annotation(cls, parameters[entry.key]), at, problems)
            if value is not INVALID:
                arguments[entry.key] = value
        elif free:
            arguments[entry.key] = entry.node.plain()
        else:
            problems.add(entry, at, _unknown(cls, entry.key, names))
    given = {entry.key for entry in config.entries()}
    for name in names:
        if parameters[name].default is inspect.Parameter.empty and name not in given:
            expected = expected_text(_annotation(cls, parameters[name]))
            expected = "a value" if expected in ("Any", "object", "Parameter") else expected
            problems.add(config, (*where, name), f"missing; {cls.__name__} needs it; expected {expected}")
    return arguments


def _unknown(cls: type, name: str, names: list[str]) -> str:
    own = [each for each in names if each not in ("uuid", "labels", "log_level")]
    takes = f"one of {', '.join(own)}" if own else "nothing here"
    return f"unknown key of {cls.__name__}; expected {takes}{did_you_mean(name, names)}"


def _parameters(cls: type) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(cls).parameters
    except (ValueError, TypeError):  # a class written in C
        return {"kwargs": inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD)}


def _annotation(cls: type, parameter: inspect.Parameter) -> Any:
    """The annotation of *parameter*, resolved where it was written; Any when it cannot be."""
    annotation = parameter.annotation
    if annotation is inspect.Parameter.empty:
        return Any
    owner = next((base for base in cls.__mro__ if parameter.name in inspect.get_annotations(base)), cls)
    module = sys.modules.get(owner.__module__)
    holder = SimpleNamespace(__annotations__={"value": annotation})
    # The module's names first: a driver with a method `list` must not hide the type of its fields.
    for local_names in ({}, dict(vars(owner))):
        try:
            return typing.get_type_hints(holder, vars(module) if module else {}, local_names, True)["value"]
        except (NameError, AttributeError, TypeError, SyntaxError):
            continue
    return Any  # a name that exists for type checkers only
