"""Reads files of access policies, strictly: whatever is wrong is told with file, line and key, all of it at once."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal

from jumpstarter.common.exceptions import ConfigurationError, FileNotFoundError
from jumpstarter.common.selectors import Requirement, Selector
from jumpstarter.config.loader import (
    KeyPath,
    Node,
    Problems,
    describe,
    display_path,
    parse_documents,
    read_file,
)
from jumpstarter.config.schema import INVALID, convert, convert_fields

from .policies import KIND, OPERATORS

STANDARD_INPUT: Final = Path("-")
_LISTS: Final = ("List", f"{KIND}List")


@dataclass(kw_only=True)
class _Expression:
    """An item of ``matchExpressions``."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class _Labels:
    """A selector of Kubernetes."""

    matchLabels: dict[str, str] = field(default_factory=dict)  # noqa: N815 - the name in the file
    matchExpressions: list[_Expression] = field(default_factory=list)  # noqa: N815 - the name in the file

    def selector(self) -> Selector:
        """Raises ConfigurationError."""
        parts = [f"{key}={value}" for key, value in self.matchLabels.items()]
        for each in self.matchExpressions:
            parts.append(str(Requirement(each.key, OPERATORS[each.operator], frozenset(each.values))))
        return Selector.parse(",".join(parts))


def _selector(node: Node, where: KeyPath, problems: Problems) -> Any:
    """A selector, as one text or in parts, as text in the one form."""
    before = len(problems.found)
    try:
        if node.value is None:
            return ""
        if isinstance(node.value, str):
            return str(Selector.parse(node.value))
        if not node.is_mapping:
            problems.add(
                node,
                where,
                f"found {describe(node, where)}; expected a selector such as team=a, or matchLabels",
            )
            return INVALID
        values = convert_fields(_Labels, node, where, problems)
        return str(_Labels(**values).selector()) if len(problems.found) == before else INVALID
    except ConfigurationError as error:
        problems.add(node, where, str(error))
        return INVALID


def _many(cls: Any) -> Any:
    """Converts a list, which may be left empty (null), of *cls*."""

    def read(node: Node, where: KeyPath, problems: Problems) -> Any:
        return [] if node.value is None else convert(node, list[cls], where, problems)

    return read


@dataclass(kw_only=True)
class _Origin:
    """An item of ``from``."""

    clientSelector: str = field(default="", metadata={"convert": _selector})  # noqa: N815 - the name in the file


@dataclass(kw_only=True)
class _Rule:
    """An item of ``policies``."""

    description: str = ""
    priority: int = 0
    clients: list[_Origin] = field(default_factory=list, metadata={"key": "from", "convert": _many(_Origin)})
    maximumDuration: timedelta | None = field(  # noqa: N815 - the name in the file
        default=None, metadata={"above": timedelta(0)}
    )
    spotAccess: bool = False  # noqa: N815 - the name in the file


@dataclass(kw_only=True)
class _Spec:
    exporterSelector: str = field(default="", metadata={"convert": _selector})  # noqa: N815 - the name in the file
    policies: list[_Rule] = field(default_factory=list, metadata={"convert": _many(_Rule)})


@dataclass(kw_only=True)
class _Metadata:
    """*name* counts; the rest is what Kubernetes writes."""

    name: str
    namespace: str | None = None
    labels: Any = None
    annotations: Any = None
    creationTimestamp: Any = None  # noqa: N815 - the name in the file
    generation: Any = None
    managedFields: Any = None  # noqa: N815 - the name in the file
    resourceVersion: Any = None  # noqa: N815 - the name in the file
    uid: Any = None


@dataclass(kw_only=True)
class _Policy:
    apiVersion: Literal["jumpstarter.dev/v1alpha1"]  # noqa: N815 - the name in the file
    kind: Literal["ExporterAccessPolicy"]
    metadata: _Metadata
    spec: _Spec
    status: Any = None


def read_policies(path: Path, namespace: str) -> list[Any]:
    """The policies for *namespace* in a YAML file, or on standard input: documents, or lists of Kubernetes.

    Raises ConfigurationError with all problems, a line each; FileNotFoundError, FileAccessError.
    """
    problems = Problems("standard input" if path == STANDARD_INPUT else display_path(path))
    text = _text(path)
    objects = [item for document in parse_documents(text, problems) for item in _objects(document, problems)]
    if not objects and not problems:
        problems.add(1, (), f"the file is empty; expected an object of kind {KIND}")
    found: dict[str, int] = {}
    policies = [_policy(node, where, namespace, found, problems) for node, where in objects]
    problems.raise_if_any()
    return policies


def _text(path: Path) -> str:
    if path == STANDARD_INPUT:
        return sys.stdin.read()
    try:
        return read_file(path)
    except builtins.FileNotFoundError:
        raise FileNotFoundError(f"policy file '{path}' does not exist") from None


def _objects(document: Node, problems: Problems) -> Iterator[tuple[Node, KeyPath]]:
    """The document, or the items of the list that it is."""
    kind = document.get("kind")
    if kind is None or kind.value not in _LISTS:
        yield document, ()
        return
    items = document.get("items")
    if items is None or not items.is_list:
        problems.add(items or document, ("items",), f"expected a list of objects of kind {KIND}")
        return
    yield from ((item, ("items", number)) for number, item in enumerate(items.value))


def _policy(node: Node, where: KeyPath, namespace: str, found: dict[str, int], problems: Problems) -> Any:
    """A policy for the wire. *found* are the lines of the ones before it, by name."""
    policy = convert(node, _Policy, where, problems)
    if policy is INVALID:
        return None
    name, other = policy.metadata.name, policy.metadata.namespace
    at = node.at(("metadata", "name"))
    if name in found:
        problems.add(
            at,
            (*where, "metadata", "name"),
            f"found '{name}' again; the first one is in line {found[name]}: one would replace the other",
        )
    found.setdefault(name, at.line)
    if other not in (None, "", namespace):
        problems.add(
            node.at(("metadata", "namespace")),
            (*where, "metadata", "namespace"),
            f"found '{other}'; expected '{namespace}', which is the lab's, or nothing",
        )
    return _message(policy, namespace)


def _message(policy: _Policy, namespace: str) -> Any:
    from jumpstarter_protocol import lab_pb2

    rules = []
    for rule in policy.spec.policies:
        message = lab_pb2.PolicyRule(
            description=rule.description,
            priority=rule.priority,
            spot_access=rule.spotAccess,
            client_selectors=[origin.clientSelector for origin in rule.clients],
        )
        if rule.maximumDuration is not None:
            message.maximum_duration.FromTimedelta(rule.maximumDuration)
        rules.append(message)
    return lab_pb2.Policy(
        namespace=namespace,
        name=policy.metadata.name,
        exporter_selector=policy.spec.exporterSelector,
        rules=rules,
    )
