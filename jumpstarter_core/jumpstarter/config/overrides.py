"""Environment variables that override what a configuration file says.

They are laid over the nodes of a file before these are checked, so that a value from the environment is
checked by the same rules and fills a key that the file lacks. What a file itself said is remembered: saving a
configuration never writes the environment into the file. A variable that is set to nothing counts as not set,
except JMP_DRIVERS_ALLOW, where it means that no driver is allowed.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from jumpstarter.config import env
from jumpstarter.config.loader import Entries, Node, Problems, parse_yaml
from jumpstarter.config.schema import restore_field

KeyNames = tuple[str, ...]
M = TypeVar("M")


@dataclass
class _Replaced:
    """A key, what the file says there (None: nothing), and the value that the model got instead."""

    path: KeyNames
    original: Node | None
    value: Any = None


@dataclass
class Overrides:
    """What the environment replaced in one file."""

    replaced: list[_Replaced] = field(default_factory=list)

    def remember(self, model: object) -> None:
        """Note the values that *model* got from the environment."""
        for each in self.replaced:
            each.value = copy.deepcopy(getattr(_parent(model, each.path), each.path[-1]))

    def undo(self, model: M) -> M:
        """A copy of *model* with the file's values where those of the environment still stand."""
        model = copy.deepcopy(model)
        # A value that the program changed since is one to be saved.
        unchanged = [
            each for each in self.replaced if getattr(_parent(model, each.path), each.path[-1]) == each.value
        ]
        for each in reversed(unchanged):
            restore_field(_parent(model, each.path), each.path[-1], each.original)
        return model


def overlay_client(root: Node, problems: Problems) -> Overrides:
    """Lay the variables that concern a client over the nodes of its file."""
    return _overlay(root, _client_values(problems))


def overlay_exporter(root: Node, problems: Problems) -> Overrides:
    """Lay the variables that concern an exporter over the nodes of its file."""
    return _overlay(root, _exporter_values(problems))


def _exporter_values(problems: Problems) -> Iterator[tuple[KeyNames, Node]]:
    yield from _texts(
        (env.JMP_NAMESPACE, ("metadata", "namespace")),
        (env.JMP_NAME, ("metadata", "name")),
        (env.JMP_ENDPOINT, ("endpoint",)),
        (env.JMP_TOKEN, ("token",)),
    )
    for variable in (env.JUMPSTARTER_GRPC_INSECURE, env.JMP_GRPC_INSECURE):
        yield from _parsed(variable, ("tls", "insecure"), _boolean, problems)


def _client_values(problems: Problems) -> Iterator[tuple[KeyNames, Node]]:
    for variable, key in (
        (env.JMP_METADATA, "metadata"),
        (env.JMP_TLS, "tls"),
        (env.JMP_GRPCOPTIONS, "grpcOptions"),
        (env.JMP_DRIVERS, "drivers"),
        (env.JMP_SHELL, "shell"),
        (env.JMP_LEASES, "leases"),
    ):
        yield from _json(variable, (key,), problems)
    yield from _exporter_values(problems)
    yield from _texts((env.JMP_REFRESH_TOKEN, ("refresh_token",)))
    if (allow := os.environ.get(env.JMP_DRIVERS_ALLOW)) is not None:
        yield ("drivers", "allow"), _node(env.JMP_DRIVERS_ALLOW, allow)
        # A list of drivers replaces what the file allows, all of it too.
        unsafe = "UNSAFE" in (part.strip() for part in allow.split(","))
        yield ("drivers", "unsafe"), _node(env.JMP_DRIVERS_ALLOW, unsafe)
    yield from _parsed(env.JMP_DRIVERS_UNSAFE, ("drivers", "unsafe"), _boolean, problems)
    yield from _parsed(
        env.JMP_ACQUISITION_TIMEOUT, ("leases", "acquisition_timeout"), _whole_seconds, problems
    )
    yield from _parsed(env.JMP_DIAL_TIMEOUT, ("leases", "dial_timeout"), _seconds, problems)
    yield from _parsed(env.JMP_RETRY_TIMEOUT, ("leases", "retry_timeout"), _seconds, problems)


def _texts(*variables: tuple[str, KeyNames]) -> Iterator[tuple[KeyNames, Node]]:
    for variable, path in variables:
        if value := os.environ.get(variable):
            yield path, _node(variable, value)


def _parsed(
    variable: str, path: KeyNames, parse: Callable[[str], Any], problems: Problems
) -> Iterator[tuple[KeyNames, Node]]:
    if text := os.environ.get(variable):
        try:
            value = parse(text)
        except ValueError as error:
            problems.add(_node(variable, text), path, f"found '{text}'; expected {error}")
        else:
            yield path, Node(value, 0, raw=text, source=variable)


def _json(variable: str, path: KeyNames, problems: Problems) -> Iterator[tuple[KeyNames, Node]]:
    if text := os.environ.get(variable):
        own = Problems(variable)
        node = parse_yaml(text, own)  # JSON is YAML
        problems.found += [(0, line) for line in own.lines()]
        if node is not None:
            _set_source(node, variable)
            yield path, node


def _boolean(text: str) -> bool:
    values = {
        "1": True,
        "true": True,
        "yes": True,
        "on": True,
        "0": False,
        "false": False,
        "no": False,
        "off": False,
    }
    if text.strip().lower() not in values:
        raise ValueError("1, true, yes or on, or 0, false, no or off")
    return values[text.strip().lower()]


def _seconds(text: str) -> float:
    from jumpstarter.common.durations import EXAMPLES, parse_duration
    from jumpstarter.common.exceptions import ArgumentError

    try:
        return parse_duration(text).total_seconds()
    except ArgumentError:
        raise ValueError(f"a duration such as {EXAMPLES}") from None


def _whole_seconds(text: str) -> int:
    return int(_seconds(text))


def _node(variable: str, value: Any) -> Node:
    return Node(value, 0, raw=str(value), source=variable)


def _set_source(node: Node, variable: str) -> None:
    node.source = variable
    for below in [entry.node for entry in node.entries()] + (node.value if node.is_list else []):
        _set_source(below, variable)


def _overlay(root: Node, values: Iterator[tuple[KeyNames, Node]]) -> Overrides:
    overrides = Overrides()
    if not root.is_mapping:  # the check of the file says so
        return overrides
    for path, value in values:
        parent = root
        for key in path[:-1]:
            below = parent.get(key)
            if below is None or below.value is None:
                below = Node(Entries(), 0, source=value.source)
                parent.put(key, below)
            parent = below
        if parent.is_mapping:
            overrides.replaced.append(_Replaced(path, parent.get(path[-1])))
            parent.put(path[-1], value)
    return overrides


def _parent(model: object, path: KeyNames) -> object:
    for name in path[:-1]:
        model = getattr(model, name)
    return model
