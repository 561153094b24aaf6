"""What one library instance holds while an exporter is connected."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from jumpstarter.common.exceptions import ArgumentError, DriverMethodNotImplemented

from ._connection import Connection
from .adapters import Context
from .consoles import Consoles
from .driver_keyword import DriverKeyword
from .errors import UnknownDriverError
from .generation import Generated, Node, driver_keywords, nodes
from .selection import Choice
from .timeouts import Timeouts


@dataclass(frozen=True)
class ExporterInfo:
    """What `Get Exporter Info` returns.

    *name* and *labels* are the exporter's own where they are known, *how* says where it was found, *address*
    how it is reached. *drivers* maps a driver's path to the name of its client class. *lease* is the name of
    the lease, if there is one.
    """

    name: str
    how: str
    address: str
    labels: Mapping[str, str] = field(default_factory=dict)
    drivers: Mapping[str, str] = field(default_factory=dict)
    lease: str | None = None


class Session:
    """Owns the connection, its consoles and its keywords; `close` ends all of it, last in first out."""

    def __init__(
        self,
        choice: Choice,
        connection: Connection,
        timeouts: Timeouts,
        reserved: Collection[str],
        alias: str = "",
    ) -> None:
        self.choice = choice
        self.consoles = Consoles(alias)
        self._connection = connection
        self._cleanup = ExitStack()
        self._cleanup.callback(connection.close)
        self._cleanup.callback(self.consoles.close)
        self._timeouts = timeouts
        try:
            self.generated: Generated = driver_keywords(connection.client, self._context, reserved, alias)
        except BaseException:
            self._cleanup.close()
            raise

    def _context(self, path: tuple[str, ...]) -> Context:
        return Context(path, self._timeouts, self.consoles, self._cleanup)

    @property
    def keywords(self) -> dict[str, DriverKeyword]:
        """The drivers' keywords by name."""
        return self.generated.keywords

    @property
    def lease(self) -> str | None:
        """The name of the lease, if there is one."""
        return self._connection.lease

    @property
    def info(self) -> ExporterInfo:
        """What is connected."""
        drivers = {".".join(node.path): type(node.client).__name__ for node in nodes(self._connection.client)}
        return ExporterInfo(
            name=self._connection.name,
            how=self.choice.where.value,
            address=self._connection.address,
            labels=self._connection.labels,
            drivers=drivers,
            lease=self.lease,
        )

    def call(self, path: str, method: str, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Call *method* of the driver at *path*: as its keyword does if it has one, else the driver itself.

        Raises `UnknownDriverError` when there is no such driver or method, ArgumentError when the arguments do not fit.
        """
        node = self._node(path)
        offered = {m.name: found for m, found in self.generated.methods.items() if m.node == node.path}
        if method in offered:
            return offered[method].call_as_robot(args, named)
        return _call_exported(node, path, method, args, named, offered)

    def _node(self, path: str) -> Node:
        found = nodes(self._connection.client)
        wanted = tuple(part for part in path.split(".") if part)
        for node in found:
            if node.path == wanted:
                return node
        paths = ", ".join(".".join(node.path) for node in found if node.path)
        raise UnknownDriverError(
            f"no driver at path {path!r}, expected one of {paths or 'none: the root is the only one'}"
        )

    def close(self) -> None:
        """Close consoles and connection. Closing twice is fine."""
        for keyword in (*self.keywords.values(), *self.generated.methods.values()):
            keyword.connected = False
        self._cleanup.close()


def _call_exported(
    node: Node, path: str, method: str, args: tuple[Any, ...], named: dict[str, Any], offered: Collection[str]
) -> Any:
    """Call what the driver exports and its client has no keyword for. The exporter checks and converts the arguments."""
    known = f"expected one of {', '.join(sorted(offered)) or 'none'}"
    if method.startswith("_"):
        raise UnknownDriverError(f"driver {path!r} has no method {method!r}, {known}")
    if named:
        raise ArgumentError(
            f"{path}.{method}: {', '.join(named)} cannot be given by name, as its client has no such method; "
            f"give values in order, or {known}"
        )
    try:
        return node.client.call(method, *args)
    except DriverMethodNotImplemented:
        raise UnknownDriverError(f"driver {path!r} has no method {method!r}, {known}") from None
