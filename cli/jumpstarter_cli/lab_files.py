"""Reads files of all that a lab has: clients, exporters and access policies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jumpstarter.config.loader import KeyPath, Node, Problems

from .identity_files import KINDS as IDENTITIES
from .identity_files import Wanted, read_identity
from .object_files import POLICY, kind_of, problems_of, read_objects
from .policy_files import read_policy

KINDS: Final = (*IDENTITIES, POLICY)


@dataclass(frozen=True)
class Objects:
    """What a file has, in its order."""

    identities: tuple[Wanted, ...]
    policies: tuple[Any, ...]


def read_lab(path: Path, namespace: str) -> Objects:
    """The objects for *namespace* in a YAML file, or on standard input: documents, or lists, of several kinds.

    Raises ConfigurationError with all problems, a line each; FileNotFoundError, FileAccessError.
    """
    problems = problems_of(path)
    found: dict[Any, int] = {}
    objects = read_objects(path, KINDS, "object", problems)
    read = [_read(node, where, namespace, found, problems) for node, where in objects]
    problems.raise_if_any()
    identities = tuple(each for each in read if isinstance(each, Wanted))
    return Objects(identities, tuple(each for each in read if not isinstance(each, Wanted)))


def _read(node: Node, where: KeyPath, namespace: str, found: dict[Any, int], problems: Problems) -> Any:
    kind = kind_of(node, where, problems, KINDS)
    if kind is None:
        return None
    reader = read_policy if kind == POLICY else read_identity
    return reader(node, where, namespace, found, problems)
