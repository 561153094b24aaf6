"""gRPC servers for a session."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, Final

import grpc
from jumpstarter_protocol.jumpstarter.v1 import jumpstarter_pb2_grpc

from jumpstarter.common.exceptions import ArgumentError
from jumpstarter.common.exceptions import ConnectionError as JumpstarterConnectionError
from jumpstarter.common.grpc import FAR_FLOW, FLOW
from jumpstarter.common.throttle import ThrottledLog, peer_host
from jumpstarter.streams.frames import decode_frame, encode_frame

from .refusals import why_not
from .repeats import RepeatedCalls
from .service import ExporterService
from .streams import RouterService

#: Metadata key of the passphrase in direct mode.
PASSPHRASE_KEY: Final = "x-jumpstarter-passphrase"

#: How an exporter notices a client that vanished without a word, which would keep the device: within two minutes.
KEEPALIVE: tuple[tuple[str, int], ...] = (
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 60_000),
)

_refusals: Final = ThrottledLog(logging.getLogger("jumpstarter.exporter"))

_OPTIONS: Final = (
    # Who connects and then says nothing goes: milliseconds for TLS.
    ("grpc.server_handshake_timeout_ms", 10_000),
    # Two exporters on one port would share the calls between them, unnoticed.
    ("grpc.so_reuseport", 0),
    # Stock clients ping every 20 s, calls or not.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_ping_strikes", 0),
)


class PassphraseInterceptor(grpc.ServerInterceptor):
    """Refuses calls without the passphrase, and logs whose they are. Raises ArgumentError for an empty one."""

    def __init__(self, passphrase: str) -> None:
        if not passphrase.strip():
            raise ArgumentError("the passphrase is empty: anybody would know it; leave it out to need none")
        self._passphrase = passphrase.encode()
        self._refuse: Any = grpc.unary_unary_rpc_method_handler(_refuse)
        self._refuse_stream: Any = grpc.stream_stream_rpc_method_handler(_refuse)

    def intercept_service(
        self, continuation: Callable[[Any], Any], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        given = dict(handler_call_details.invocation_metadata or ()).get(PASSPHRASE_KEY, "")
        if hmac.compare_digest(str(given).encode(), self._passphrase):
            return continuation(handler_call_details)
        handler = continuation(handler_call_details)
        return self._refuse_stream if handler is not None and handler.request_streaming else self._refuse


def _refuse(request: Any, context: grpc.ServicerContext) -> Any:
    peer = peer_host(context.peer())
    _refusals.warning(peer, f"a call of {peer} was refused: invalid or missing passphrase")
    context.abort(grpc.StatusCode.UNAUTHENTICATED, "invalid or missing passphrase")


def create_server(
    executor: Executor,
    exporter: ExporterService,
    router: RouterService,
    repeated: RepeatedCalls,
    passphrase: str | None = None,
    interceptors: Sequence[grpc.ServerInterceptor] = (),
    *,
    far: bool = False,
) -> grpc.Server:
    """A server of the services, without an address yet; *far* says that its clients come through a joint."""
    if passphrase is not None:
        interceptors = (PassphraseInterceptor(passphrase), *interceptors)
    options = (*(FAR_FLOW if far else FLOW), *_OPTIONS, *KEEPALIVE)
    server = grpc.server(executor, options=options, interceptors=interceptors)  # type: ignore[arg-type]
    jumpstarter_pb2_grpc.add_ExporterServiceServicer_to_server(exporter, server)  # type: ignore[no-untyped-call]
    stream = grpc.stream_stream_rpc_method_handler(
        router.Stream, request_deserializer=decode_frame, response_serializer=encode_frame
    )
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler("jumpstarter.v1.RouterService", {"Stream": stream}),
            repeated.handlers(),
        )
    )
    return server


def bind(server: grpc.Server, address: str, credentials: grpc.ServerCredentials | None = None) -> int:
    """Listen on *address*; gives the port, 1 for a unix socket. Raises jumpstarter's ConnectionError when that fails."""
    try:
        port = (
            server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
        )
    except RuntimeError:
        port = 0
    if port == 0:
        raise JumpstarterConnectionError(
            f"cannot listen on {address}: {why_not(address, credentials is not None)}"
        )
    return port
