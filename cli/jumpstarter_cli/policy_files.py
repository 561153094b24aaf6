"""Reads files of access policies, strictly: whatever is wrong is told with file, line and key, all of it at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.common.selectors import Operator, Requirement, Selector
from jumpstarter.config.loader import KeyPath, Node, Problems, describe
from jumpstarter.config.schema import INVALID, convert, convert_fields

from .object_files import Metadata, check_place, problems_of, read_objects
from .policies import KIND, OPERATORS


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
        parts = [
            Requirement(key, Operator.EQUALS, frozenset({value})) for key, value in self.matchLabels.items()
        ]
        for each in self.matchExpressions:
            parts.append(Requirement(each.key, OPERATORS[each.operator], frozenset(each.values)))
        return Selector.of_parts(parts)


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
class _Policy:
    apiVersion: Literal["jumpstarter.dev/v1alpha1"]  # noqa: N815 - the name in the file
    kind: Literal["ExporterAccessPolicy"]
    metadata: Metadata
    spec: _Spec
    status: Any = None


def read_policies(path: Path, namespace: str) -> list[Any]:
    """The policies for *namespace* in a YAML file, or on standard input: documents, or lists of Kubernetes.

    Raises ConfigurationError with all problems, a line each; FileNotFoundError, FileAccessError.
    """
    problems = problems_of(path)
    found: dict[Any, int] = {}
    objects = read_objects(path, (KIND,), "policy", problems)
    policies = [read_policy(node, where, namespace, found, problems) for node, where in objects]
    problems.raise_if_any()
    return policies


def read_policy(node: Node, where: KeyPath, namespace: str, found: dict[Any, int], problems: Problems) -> Any:
    """A policy for the wire; None when something is wrong. *found* are the lines of the ones before it, by kind and name."""
    policy = convert(node, _Policy, where, problems)
    if policy is INVALID:
        return None
    for problem in check_place(node, where, policy.metadata, namespace, found, KIND):
        problems.add(*problem)
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
