"""Reads a YAML text into nodes that know their lines, and collects everything that is wrong with it.

A configuration file is read in three steps, each of which adds to one `Problems` list:

1. here: YAML to `Node` (broken YAML, duplicate keys, tags that would run code);
2. `jumpstarter.config.schema`: nodes to dataclasses (unknown keys, wrong types, missing keys);
3. `jumpstarter.config.driver_check` and `.refs`: what the driver classes want.

`Problems.raise_if_any` then raises one ConfigurationError with a line a problem::

    FILE:LINE: key.path: what was found; expected what; did you mean 'x'?
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jumpstarter.common.exceptions import ConfigurationError, FileAccessError
from jumpstarter.common.secrets import is_secret

if TYPE_CHECKING:
    import yaml

KeyPath = tuple[str | int, ...]

# Aliases can make a short file expand to billions of values.
MAX_VALUES = 100_000
MAX_DEPTH = 100


@dataclass(slots=True)
class Node:
    """A value of a file: a scalar, a list of nodes or a list of entries, with the line it stands in (from 1).

    `raw` is a scalar as it was written; `source` replaces ``FILE:LINE`` for a value from elsewhere.
    """

    value: Any
    line: int
    raw: str = ""
    source: str | None = None

    def entries(self) -> list[Entry]:
        """The entries of a mapping."""
        return self.value if self.is_mapping else []

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.value, Entries)

    @property
    def is_list(self) -> bool:
        return isinstance(self.value, list) and not self.is_mapping

    def get(self, key: str) -> Node | None:
        """The value of *key* in a mapping, else None."""
        return next((entry.node for entry in self.entries() if entry.key == key), None)

    def put(self, key: str, node: Node) -> None:
        """Set *key* of a mapping."""
        for entry in self.entries():
            if entry.key == key:
                entry.node = node
                return
        self.value.append(Entry(key, key, node.line, node))

    def plain(self) -> Any:
        """The value as plain Python data."""
        if self.is_mapping:
            return {entry.key: entry.node.plain() for entry in self.entries()}
        if self.is_list:
            return [item.plain() for item in self.value]
        return self.value

    def at(self, path: Sequence[str | int]) -> Node:
        """The node at *path* below this one, or the deepest one on the way to it."""
        node = self
        for step in path:
            if node.is_list and isinstance(step, int) and 0 <= step < len(node.value):
                node = node.value[step]
            elif (below := node.get(str(step))) is not None:
                node = below
            else:
                break
        return node


@dataclass(slots=True)
class Entry:
    """A key and its value in a mapping. `key` is not a str where YAML reads it as something else."""

    key: Any
    raw_key: str
    line: int
    node: Node


class Entries(list[Entry]):
    """The value of a mapping node (a plain list is the value of a list node)."""


@dataclass
class Problems:
    """What is wrong with one file; *file* is how the user named it."""

    file: str
    check_drivers: bool = False
    found: list[tuple[int, str]] = field(default_factory=list)

    def add(self, at: Node | Entry | int, where: KeyPath, message: str) -> None:
        """Note that *message* is true of the key *where*; *at* tells the line. What it quotes stays in its line."""
        from jumpstarter.common.printable import printable_line

        line = at if isinstance(at, int) else at.line
        source = at.source if isinstance(at, Node) else at.node.source if isinstance(at, Entry) else None
        text = printable_line(f"{key_path(where)}: {message}" if where else message)
        entry = (line, f"{source or f'{self.file}:{line}'}: {text}")
        if entry not in self.found:  # a node that is aliased twice is wrong once
            self.found.append(entry)

    def __bool__(self) -> bool:
        return bool(self.found)

    def lines(self) -> list[str]:
        """One line a problem, in the order of the file."""
        return [text for _, text in sorted(self.found, key=lambda entry: entry[0])]

    def raise_if_any(self) -> None:
        """Raise ConfigurationError with all problems, a line each, if there are any."""
        if self.found:
            raise ConfigurationError("\n".join(self.lines()))


def key_path(where: KeyPath) -> str:
    """``('export', 'a', 'list', 0)`` as ``export.a.list[0]``."""
    text = ""
    for step in where:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def read_file(path: Path, name: str | None = None) -> str:
    """The text of a file.

    Raises builtin FileNotFoundError when there is none, FileAccessError when it cannot be read and
    ConfigurationError when it is not UTF-8.
    """
    name = name or display_path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise FileAccessError(f"{name}: cannot be read: {(error.strerror or str(error)).lower()}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{name}:{line}: not UTF-8 text; save the file as UTF-8") from None


def display_path(path: Path) -> str:
    """*path* as users write it: with ``~`` for their home directory."""
    try:
        return f"~/{path.relative_to(Path.home())}" if path.is_absolute() else str(path)
    except (ValueError, RuntimeError):
        return str(path)


def parse_yaml(text: str, problems: Problems) -> Node | None:
    """Read one YAML document; None, with a problem added, when there is none."""
    import yaml

    # The C parser is ten times faster; both give the same nodes.
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        root = yaml.compose(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        _add_syntax_problem(error, text, problems)
        return None
    except (yaml.YAMLError, RecursionError) as error:
        _add_unreadable(error, text, problems)
        return None
    return _Builder(problems).build(root, ()) if root is not None else None


def parse_documents(text: str, problems: Problems) -> list[Node]:
    """As `parse_yaml`, for all documents of a file that are not empty."""
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        roots = [root for root in yaml.compose_all(text, Loader=loader) if root is not None]
    except yaml.MarkedYAMLError as error:
        _add_syntax_problem(error, text, problems)
        return []
    except (yaml.YAMLError, RecursionError) as error:
        _add_unreadable(error, text, problems)
        return []
    nodes = [_Builder(problems).build(root, ()) for root in roots]
    return [node for node in nodes if node.value is not None]


def _add_syntax_problem(error: yaml.MarkedYAMLError, text: str, problems: Problems) -> None:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark is not None else (0, 0)
    message = f"not valid YAML (column {column + 1}): {error.problem or error}"
    if error.context and error.context_mark is not None:
        message += f" {error.context} that starts in line {error.context_mark.line + 1}"
    lines = text.split("\n")
    if line < len(lines) and lines[line][column : column + 1] == "\t":
        message += "; indent with spaces, not tabs"
    problems.add(line + 1, (), message)


def _add_unreadable(error: Exception, text: str, problems: Problems) -> None:
    position = getattr(error, "position", None)
    line = text.count("\n", 0, position) + 1 if isinstance(position, int) else 1
    reason = (
        "nested too deeply" if isinstance(error, RecursionError) else getattr(error, "reason", str(error))
    )
    problems.add(line, (), f"not valid YAML: {reason}")


class _Builder:
    """Turns PyYAML's nodes into ours: follows aliases and merge keys, refuses duplicates and unknown tags."""

    def __init__(self, problems: Problems) -> None:
        from yaml.constructor import SafeConstructor

        self._problems = problems
        self._scalars = SafeConstructor()
        self._open: set[int] = set()
        self._count = 0

    def build(self, node: yaml.Node, where: KeyPath) -> Node:
        import yaml

        line = node.start_mark.line + 1
        self._count += 1
        if self._count > MAX_VALUES:
            raise ConfigurationError(
                f"{self._problems.file}:{line}: expands to more than {MAX_VALUES} values; use fewer aliases"
            )
        if len(where) > MAX_DEPTH:
            self._problems.add(line, where[:3], f"nested deeper than {MAX_DEPTH} levels")
            return Node(None, line)
        if id(node) in self._open:
            self._problems.add(line, where, "alias of a value inside that value; expected an acyclic file")
            return Node(None, line)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
                return Node(Entries(self._entries(node, where)), line)
            if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
                return Node([self.build(item, (*where, i)) for i, item in enumerate(node.value)], line)
            return self._scalar(node, line, where)
        finally:
            self._open.discard(id(node))

    def _scalar(self, node: yaml.Node, line: int, where: KeyPath) -> Node:
        import yaml

        if not isinstance(node, yaml.ScalarNode) or node.tag not in _SCALAR_TAGS:
            self._problems.add(line, where, f"YAML tag '{node.tag}' is not allowed; expected a plain value")
            return Node(None, line)
        try:
            return Node(self._scalars.construct_object(node), line, raw=str(node.value))  # type: ignore[no-untyped-call]
        except (ValueError, OverflowError, yaml.YAMLError):
            self._problems.add(
                line, where, f"'{node.value}' is not valid; if it is text, quote it: \"{node.value}\""
            )
            return Node(None, line, raw=str(node.value))

    def _entries(self, node: yaml.MappingNode, where: KeyPath) -> Iterator[Entry]:
        import yaml

        seen: dict[tuple[type, Any], int] = {}  # 1 and true are two keys, though Python has them equal
        merged: list[Entry] = []
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == "tag:yaml.org,2002:merge":
                merged += self._merged(value_node, where)
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self._problems.add(line, where, "a list or mapping as a key; expected text")
                continue
            raw = str(key_node.value)
            key = self._scalar(key_node, line, where).value
            if (first := seen.get((type(key), key))) is not None:
                self._problems.add(line, (*where, raw), f"duplicate key; the first one is in line {first}")
                continue
            seen[type(key), key] = line
            value = self.build(value_node, (*where, raw))
            # A block mapping starts below its key, yet its key is where a reader looks for it.
            value.line = line if value.is_mapping or value.is_list else value.line
            yield Entry(key, raw, line, value)
        for entry in merged:
            if (type(entry.key), entry.key) not in seen:
                seen[type(entry.key), entry.key] = entry.line
                yield entry

    def _merged(self, node: yaml.Node, where: KeyPath) -> list[Entry]:
        built = self.build(node, (*where, "<<"))
        parts = built.value if built.is_list else [built]
        if not all(part.is_mapping for part in parts):
            self._problems.add(built, (*where, "<<"), f"found {describe(built)}; expected a mapping to merge")
        return [entry for part in parts for entry in part.entries()]


_SCALAR_TAGS = {
    f"tag:yaml.org,2002:{name}"
    for name in ("null", "bool", "int", "float", "str", "timestamp", "binary", "value")
}


def describe(node: Node, where: KeyPath = ()) -> str:
    """What was found, in words: ``text 'abc'``, ``the whole number 22``. Secrets are not repeated."""
    value = node.value
    secret = bool(where) and is_secret(where[-1])
    shown = "(not shown)" if secret else node.raw if len(node.raw) <= 60 else node.raw[:57] + "..."
    match value:
        case None:
            return "nothing (null)"
        case bool():
            return "a boolean (not shown)" if secret else f"the boolean {shown}"
        case int():
            return "a whole number (not shown)" if secret else f"the whole number {shown}"
        case float():
            return "a number (not shown)" if secret else f"the number {shown}"
        case str():
            return "text (not shown)" if secret else f"text {shown!r}"
        case datetime.date():
            return "a date (not shown)" if secret else f"the date {shown}"
        case bytes():
            return "binary data"
    return "a mapping" if node.is_mapping else "a list" if node.is_list else type(value).__name__
