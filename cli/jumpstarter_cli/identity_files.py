"""Reads files of clients and exporters, strictly: what is wrong is told with file, line and key, all of it at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from jumpstarter.config.loader import KeyPath, Node, Problems, describe
from jumpstarter.config.schema import INVALID, convert

from .object_files import Metadata, check_place, problems_of, read_objects

KINDS: Final = ("Client", "Exporter")


@dataclass(kw_only=True)
class _Labelled(Metadata):
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class _ClientSpec:
    username: str | None = None


@dataclass(kw_only=True)
class _ExporterSpec(_ClientSpec):
    enabled: bool = True


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
    """A client or an exporter to create; *kind* is ``client`` or ``exporter``, *origin* the place it was read from."""

    kind: str
    name: str
    labels: dict[str, str]
    username: str
    enabled: bool
    origin: str


def read_identities(path: Path, namespace: str) -> list[Wanted]:
    """The clients and exporters for *namespace* in a YAML file, or on standard input: documents, or lists.

    Raises ConfigurationError with all problems, a line each; FileNotFoundError, FileAccessError.
    """
    problems = problems_of(path)
    found: dict[Any, int] = {}
    objects = read_objects(path, KINDS, "object", problems)
    wanted = [_wanted(node, where, namespace, found, problems) for node, where in objects]
    problems.raise_if_any()
    return [each for each in wanted if each is not None]


def _wanted(
    node: Node, where: KeyPath, namespace: str, found: dict[Any, int], problems: Problems
) -> Wanted | None:
    kind = _kind(node, where, problems)
    read = convert(node, _Client if kind == "Client" else _Exporter, where, problems) if kind else INVALID
    if read is INVALID:
        return None
    for problem in check_place(node, where, read.metadata, namespace, found, read.kind):
        problems.add(*problem)
    return Wanted(
        kind=read.kind.lower(),
        name=read.metadata.name,
        labels=read.metadata.labels,
        username=read.spec.username or "",
        enabled=getattr(read.spec, "enabled", True),
        origin=f"{problems.file}:{node.at(('metadata', 'name')).line}",
    )


def _kind(node: Node, where: KeyPath, problems: Problems) -> str | None:
    kind = node.get("kind") if node.is_mapping else None
    if kind is not None and kind.value in KINDS:
        return str(kind.value)
    expected = "expected Client or Exporter"
    if kind is None:
        told = f"missing; {expected}" if node.is_mapping else f"found {describe(node, where)}; {expected}"
        problems.add(node, (*where, "kind"), told)
    elif kind.value == "ExporterAccessPolicy":
        problems.add(
            kind, (*where, "kind"), f"{expected}; for policies there is 'jmp admin create policy -f FILE'"
        )
    else:
        problems.add(kind, (*where, "kind"), f"found {describe(kind, where)}; {expected}")
    return None
