"""The passphrase of direct mode: a metadata entry on every call."""

from __future__ import annotations

from typing import Any

import grpc

from jumpstarter.common.grpc import PASSPHRASE_METADATA_KEY
from jumpstarter.session.server import PassphraseInterceptor

__all__ = ["PASSPHRASE_METADATA_KEY", "PassphraseInterceptor", "passphrase_client_interceptors"]


def passphrase_client_interceptors(passphrase: str) -> list[grpc.aio.ClientInterceptor]:
    """Interceptors that add *passphrase* to the calls of a `grpc.aio` channel, of each kind one."""
    entry = (PASSPHRASE_METADATA_KEY, passphrase)
    return [_UnaryUnary(entry), _UnaryStream(entry), _StreamStream(entry)]


class _Adding:
    def __init__(self, entry: tuple[str, str]) -> None:
        self._entry = entry

    def details(self, details: Any) -> Any:
        return details._replace(metadata=grpc.aio.Metadata(*(details.metadata or ()), self._entry))


class _UnaryUnary(_Adding, grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[misc]
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(self.details(client_call_details), request)


class _UnaryStream(_Adding, grpc.aio.UnaryStreamClientInterceptor):  # type: ignore[misc]
    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(self.details(client_call_details), request)


class _StreamStream(_Adding, grpc.aio.StreamStreamClientInterceptor):  # type: ignore[misc]
    async def intercept_stream_stream(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        return await continuation(self.details(client_call_details), request_iterator)
