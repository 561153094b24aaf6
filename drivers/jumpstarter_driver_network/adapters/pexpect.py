"""pexpect on a driver's stream."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from jumpstarter_driver_network.relay import Relay

from .portforward import Adapter

if TYPE_CHECKING:
    from pexpect.fdpexpect import fdspawn


class PexpectAdapter(Adapter["fdspawn[bytes]"]):
    """A pexpect session on a stream, for instance a serial console; entering gives the ``fdspawn``.

    The session works with bytes; str is accepted for what is sent and expected. When the stream ends the
    session sees EOF.

    Args:
        client: a client whose driver has a stream
        method: the driver's stream method

    Raises:
        DriverError: the exporter cannot open the stream
    """

    def _open(self) -> fdspawn[bytes]:
        from pexpect.fdpexpect import fdspawn

        stream = self._stack.enter_context(self.client.stream(self.method))
        ours, theirs = socket.socketpair()
        relay = Relay(ours, stream, self.client.name, self.client.logger)
        relay.start()
        self._stack.callback(relay.stop)
        # fdspawn wants a plain descriptor and closes it itself.
        spawn: fdspawn[bytes] = fdspawn(theirs.detach())
        self._stack.callback(_close, spawn)
        return spawn


def _close(spawn: fdspawn[bytes]) -> None:
    if not spawn.closed:
        spawn.close()
