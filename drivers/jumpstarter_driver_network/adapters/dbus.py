"""The exporter's D-Bus for programs on this side."""

from __future__ import annotations

import os
from typing import Any

from jumpstarter_driver_network.dbus import VARIABLES

from .portforward import Adapter, TcpPortforwardAdapter


class DbusAdapter(Adapter[str]):
    """Forward the bus of a DbusNetwork driver; entering gives its local address and sets it in the
    environment.

    ``DBUS_SYSTEM_BUS_ADDRESS`` or ``DBUS_SESSION_BUS_ADDRESS`` is restored on exit. The local end is a TCP
    port of the loopback address, as only there D-Bus clients do not try to pass file descriptors, which no
    stream can carry.

    Args:
        client: the client of a DbusNetwork driver
    """

    def __init__(self, client: Any) -> None:
        super().__init__(client)

    def _open(self) -> str:
        host, port = self._stack.enter_context(TcpPortforwardAdapter(self.client))
        address = f"tcp:host={host},port={port}"
        variable = VARIABLES[self.client.kind]  # type: ignore[attr-defined]
        before = os.environ.get(variable)
        os.environ[variable] = address
        self._stack.callback(_restore, variable, before)
        return address


def _restore(variable: str, before: str | None) -> None:
    if before is None:
        os.environ.pop(variable, None)
    else:
        os.environ[variable] = before
