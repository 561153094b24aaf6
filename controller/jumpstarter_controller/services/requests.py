"""Requests as they arrive: who calls is asked before it counts what they say.

gRPC reads a request before it calls anything of ours, and logs a traceback for bytes that are none, whoever sent them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc


@dataclass(frozen=True)
class Unreadable:
    """Bytes that are no request. *problem* says why."""

    problem: str


class Handlers:
    """Takes the handlers of generated code to *server*; requests that cannot be read arrive as `Unreadable`.

    With *instead*, as what that gives: for services of others, which know no `Unreadable`.
    """

    def __init__(self, server: grpc.aio.Server, instead: Callable[[], Any] | None = None) -> None:
        self._server = server
        self._instead = instead

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        """Nothing: generated code gives the same handlers by name, too."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Serve *handlers* of *service*."""
        reading = {name: self._reading(handler) for name, handler in handlers.items()}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, reading),))

    def _reading(self, handler: Any) -> Any:
        read: Callable[[bytes], Any] = handler.request_deserializer

        def lenient(data: bytes) -> Any:
            from google.protobuf.message import DecodeError

            try:
                return read(data)
            except DecodeError as error:
                return self._instead() if self._instead is not None else Unreadable(str(error))

        return handler._replace(request_deserializer=lenient)
