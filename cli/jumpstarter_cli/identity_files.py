"""Reads files of clients and exporters, strictly: what is wrong is told with file, line and key, all of it at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from jumpstarter.config.loader import KeyPath, Node, Problems
from jumpstarter.config.schema import INVALID, convert

from .object_files import Metadata, check_place, kind_of, problems_of, read_objects

KINDS: Final = ("Client", "Exporter")


@dataclass(kw_only=True)
class _Labelled(Metadata):
    labels: dict[str, str] | None = None


@dataclass(kw_only=True)
class _ClientSpec:
    username: str | None = None


@dataclass(kw_only=True)
class _ExporterSpec(_ClientSpec):
    enabled: bool | None = None


@dataclass(kw_only=True)
class _Client:
    apiVersion: Literal["jumpstarter.dev/v1alpha1"]  # noqa: N815 - the name in the file
    kind: Literal["Client"]
    metadata: _Labelled
    spec: _ClientSpec = field(default_factory=_ClientSpec)
    status: Any = None


@dataclass(kw_only=True)
class _Exporter:
    apiVersion: Literal["jumpstarter.dev/v1alpha1"]  # noqa: N815 - the name in the file
    kind: Literal["Exporter"]
    metadata: _Labelled
    spec: _ExporterSpec = field(default_factory=_ExporterSpec)
    status: Any = None


@dataclass(frozen=True)
class Wanted:
    """A client or an exporter; *kind* is ``client`` or ``exporter``, *origin* the place it was read from.

    *labels*, *username* and *enabled* are None where the file does not say.
    """

    kind: str
    name: str
    labels: dict[str, str] | None
    username: str | None
    enabled: bool | None
    origin: str


def read_identities(path: Path, namespace: str) -> list[Wanted]:
    """The clients and exporters for *namespace* in a YAML file, or on standard input: documents, or lists.

    Raises ConfigurationError with all problems, a line each; FileNotFoundError, FileAccessError.
    """
    problems = problems_of(path)
    found: dict[Any, int] = {}
    objects = read_objects(path, KINDS, "object", problems)
    wanted = [
        read_identity(node, where, namespace, found, problems)
        for node, where in objects
        if kind_of(node, where, problems, KINDS) is not None
    ]
    problems.raise_if_any()
    return [each for each in wanted if each is not None]


def read_identity(
    node: Node, where: KeyPath, namespace: str, found: dict[Any, int], problems: Problems
) -> Wanted | None:
    """The client or exporter that *node* is; None when something is wrong. *found* is as in `check_place`."""
    kind = node.at(("kind",)).value
    read = convert(node, _Client if kind == "Client" else _Exporter, where, problems)
    if read is INVALID:
        return None
    for problem in check_place(node, where, read.metadata, namespace, found, read.kind):
        problems.add(*problem)
    return Wanted(
        kind=read.kind.lower(),
        name=read.metadata.name,
        labels=read.metadata.labels,
        username=read.spec.username,
        enabled=getattr(read.spec, "enabled", None),
        origin=f"{problems.file}:{node.at(('metadata', 'name')).line}",
    )
