"""The tree of clients for an exporter's report."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from uuid import UUID

from jumpstarter.common.exceptions import ConnectionError, MissingDriverError
from jumpstarter.common.importlib import import_class
from jumpstarter.common.interrupts import Shield
from jumpstarter.common.metadata import CLIENT_LABEL, NAME_LABEL
from jumpstarter.common.printable import printable, printable_line

from .base import Children, StubDriverClient
from .core import AsyncDriverClient


class Builder:
    """A node of the report, and its client once that was asked for."""

    def __init__(self, report: Any, make: Callable[[Builder], Any]) -> None:
        self.uuid = _uuid(report.uuid)
        self.parent = report.parent_uuid if report.HasField("parent_uuid") else None
        # An exporter's words get to terminals, as help and in errors.
        self.labels = {printable_line(key): printable_line(value) for key, value in report.labels.items()}
        self.description = printable(report.description) if report.HasField("description") else None
        self.methods_description = {
            name: printable(text) for name, text in report.methods_description.items()
        }
        self.children: dict[str, Builder] = {}
        self._make = make
        self._client: Any = None

    @property
    def is_built(self) -> bool:
        """True once `client` was asked for."""
        return self._client is not None

    def client(self) -> Any:
        """The node's client; the same one every time."""
        if self._client is None:
            with Shield():
                self._client = self._make(self)
        return self._client


def build(reports: Any, stub: Any, portal: Any, stack: ExitStack, allow: list[str], unsafe: bool) -> Any:
    """The client of the root. Raises ConnectionError for a report that is no tree."""
    return grow(reports, stub, portal, stack, allow, unsafe).client()


def grow(reports: Any, stub: Any, portal: Any, stack: ExitStack, allow: list[str], unsafe: bool) -> Builder:
    """The root, whose client has all the others below it. Raises ConnectionError for a report that is no tree."""

    def make(node: Builder) -> Any:
        try:
            cls = _client_class(node.labels.get(CLIENT_LABEL, ""), allow, unsafe)
        except MissingDriverError as error:
            return StubDriverClient(uuid=node.uuid, labels=node.labels, error=error)
        return cls(
            uuid=node.uuid,
            labels=node.labels,
            stub=stub,
            portal=portal,
            stack=stack.enter_context(ExitStack()),
            children=Children(node.children),
            description=node.description,
            methods_description=node.methods_description,
        )

    return root_of([Builder(report, make) for report in reports])


def _client_class(path: str, allow: list[str], unsafe: bool) -> Any:
    cls = import_class(path, allow, unsafe)
    if not isinstance(cls, type) or not issubclass(cls, AsyncDriverClient):
        raise MissingDriverError(f"{path} is not a driver client: expected a subclass of DriverClient", path)
    return cls


def root_of(nodes: list[Builder]) -> Builder:
    """Link *nodes* by their parents and give the one that has none, in whatever order they come.

    A driver that a proxy refers to is reported twice with one uuid; a child belongs to the last one before it, as parents
    stand before their children in what exporters send, or else to the first one after it.
    """
    roots = [node for node in nodes if node.parent is None]
    if len(roots) != 1:
        raise ConnectionError(f"the exporter reports {len(roots)} root drivers: expected one")
    below: dict[int, list[Builder]] = {}
    # By uuid: the last one so far, and until there is one the first of all.
    parents = {str(node.uuid): node for node in reversed(nodes)}
    for node in nodes:
        if node.parent is not None:
            parent = parents.get(node.parent)
            if parent is None:
                raise ConnectionError(
                    f"the exporter reports driver {node.uuid} below {node.parent}, which it does not report"
                )
            parent.children[node.labels.get(NAME_LABEL, "")] = node
            below.setdefault(id(parent), []).append(node)
        parents[str(node.uuid)] = node
    _refuse_circles(roots[0], below, len(nodes))
    return roots[0]


def _refuse_circles(root: Builder, below: dict[int, list[Builder]], count: int) -> None:
    reached = [root]
    for node in reached:
        reached += below.get(id(node), ())
    if len(reached) < count:
        raise ConnectionError(
            f"the exporter reports {count - len(reached)} drivers that are not below its root: their parents form a circle"
        )


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ConnectionError(
            f"the exporter reports a driver with the uuid {text!r}: expected a UUID"
        ) from None
