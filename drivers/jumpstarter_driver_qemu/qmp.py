"""QEMU's control protocol, as much of it as a power button needs.

A message is one JSON object a line. QEMU greets first; ``qmp_capabilities`` ends the negotiation; from then
on every ``{"execute": ...}`` is answered by one ``return`` or ``error``, with events in between. Source:
docs/interop/qmp-spec in QEMU. The qemu.qmp library is asyncio only, and would make every exporter pay an
event loop for these few lines.
"""

from __future__ import annotations

import json
import socket
import threading
from typing import Any


class QmpError(Exception):
    """Raised when QEMU refuses a command; the text is QEMU's own."""


class QmpClosed(Exception):
    """Raised when QEMU closed the connection, which it does when it ends."""


class Qmp:
    """One connection. Methods may be called from any thread, one command runs at a time."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = bytearray()
        self._lock = threading.Lock()

    def negotiate(self, timeout: float) -> None:
        """Take the greeting and enter command mode; *timeout* in seconds bounds each of the two messages.

        Raises TimeoutError, `QmpClosed` when QEMU ended before it greeted, and `QmpError`.
        """
        with self._lock:
            self._connection.settimeout(timeout)
            self._message()
        self.execute("qmp_capabilities", timeout=timeout)

    def execute(self, command: str, *, timeout: float = 10, **arguments: Any) -> Any:
        """Run *command* and return its result; *timeout* in seconds bounds the wait for each message.

        Raises TimeoutError, `QmpClosed` and `QmpError`.
        """
        request = json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n"
        with self._lock:
            self._connection.settimeout(timeout)
            try:
                self._connection.sendall(request)
            except (BrokenPipeError, ConnectionResetError) as error:
                raise QmpClosed(f"QEMU closed the connection before `{command}`") from error
            while True:
                message = self._message()
                if "return" in message:
                    return message["return"]
                if "error" in message:
                    raise QmpError(f"`{command}`: {message['error'].get('desc', message['error'])}")

    def human(self, line: str) -> str:
        """Run *line* as typed at QEMU's human monitor, for what QMP does not tell; raises as `execute`."""
        arguments: dict[str, Any] = {"command-line": line}
        return str(self.execute("human-monitor-command", **arguments))

    def close(self) -> None:
        """Close the connection; QEMU goes on."""
        self._connection.close()

    def _message(self) -> dict[str, Any]:
        while b"\n" not in self._received:
            try:
                data = self._connection.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                raise QmpClosed("QEMU closed the connection")
            self._received += data
        line, _, rest = bytes(self._received).partition(b"\n")
        self._received = bytearray(rest)
        message = json.loads(line)
        if not isinstance(message, dict):
            raise QmpError(f"expected a JSON object, got {line[:100]!r}")
        return message
