"""Reads files of a lab's objects: YAML documents, or lists of Kubernetes, of known kinds."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jumpstarter.common.exceptions import FileNotFoundError
from jumpstarter.config.loader import (
    KeyPath,
    Node,
    Problems,
    describe,
    display_path,
    parse_documents,
    read_file,
)

STANDARD_INPUT: Final = Path("-")
#: The kind of access policies.
POLICY: Final = "ExporterAccessPolicy"


@dataclass(kw_only=True)
class Metadata:
    """*name*, *namespace* and *labels* count; the rest is what Kubernetes writes."""

    name: str
    namespace: str | None = None
    labels: Any = None
    annotations: Any = None
    creationTimestamp: Any = None  # noqa: N815 - the name in the file
    generation: Any = None
    managedFields: Any = None  # noqa: N815 - the name in the file
    resourceVersion: Any = None  # noqa: N815 - the name in the file
    uid: Any = None


def problems_of(path: Path) -> Problems:
    """Where to tell what is wrong with the file at *path*, or with standard input."""
    return Problems("standard input" if path == STANDARD_INPUT else display_path(path))


def read_objects(
    path: Path, kinds: Sequence[str], what: str, problems: Problems
) -> list[tuple[Node, KeyPath]]:
    """The objects of *kinds* in the file at *path*, which is *what*, or on standard input.

    Raises ConfigurationError for what is no YAML, FileNotFoundError, FileAccessError.
    """
    documents = parse_documents(_text(path, what), problems)
    found = [item for document in documents for item in _objects(document, kinds, problems)]
    if not found and not problems:
        problems.add(1, (), f"the file is empty; expected an object of kind {' or '.join(kinds)}")
    return found


def kind_of(node: Node, where: KeyPath, problems: Problems, kinds: Sequence[str]) -> str | None:
    """The kind of an object, one of *kinds*; None, with a problem told, when it has another or none."""
    kind = node.get("kind") if node.is_mapping else None
    if kind is not None and kind.value in kinds:
        return str(kind.value)
    expected = f"expected {', '.join(kinds[:-1])} or {kinds[-1]}"
    if kind is None:
        told = f"missing; {expected}" if node.is_mapping else f"found {describe(node, where)}; {expected}"
    elif kind.value == POLICY:
        told = f"{expected}; for policies there is 'jmp admin create policy -f FILE', for all kinds 'jmp admin apply -f FILE'"
    else:
        told = f"found {describe(kind, where)}; {expected}"
    problems.add(kind or node, (*where, "kind"), told)
    return None


def check_place(
    node: Node, where: KeyPath, metadata: Metadata, namespace: str, found: dict[Any, int], kind: str = ""
) -> Iterator[tuple[Node, KeyPath, str]]:
    """The problems of an object's name and namespace. *found* are the lines of those before it, by kind and name."""
    at = node.at(("metadata", "name"))
    key = (kind, metadata.name)
    if key in found:
        told = f"found '{metadata.name}' again; the first one is in line {found[key]}: one would replace the other"
        yield at, (*where, "metadata", "name"), told
    found.setdefault(key, at.line)
    if metadata.namespace not in (None, "", namespace):
        told = f"found '{metadata.namespace}'; expected '{namespace}', which is the lab's, or nothing"
        yield node.at(("metadata", "namespace")), (*where, "metadata", "namespace"), told


def _text(path: Path, what: str) -> str:
    if path == STANDARD_INPUT:
        return sys.stdin.read()
    try:
        return read_file(path)
    except builtins.FileNotFoundError:
        raise FileNotFoundError(f"{what} file '{path}' does not exist") from None


def _objects(document: Node, kinds: Sequence[str], problems: Problems) -> Iterator[tuple[Node, KeyPath]]:
    """The document, or the items of the list that it is."""
    kind = document.get("kind")
    if kind is None or kind.value not in ("List", *(f"{each}List" for each in kinds)):
        yield document, ()
        return
    items = document.get("items")
    if items is None or not items.is_list:
        problems.add(
            items or document, ("items",), f"expected a list of objects of kind {' or '.join(kinds)}"
        )
        return
    yield from ((item, ("items", number)) for number, item in enumerate(items.value))
