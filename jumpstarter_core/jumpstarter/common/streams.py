"""Requests that open a byte stream on an exporter: the JSON text in the call's metadata entry ``request``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

if TYPE_CHECKING:
    from anyio.abc import AnyByteStream

    from jumpstarter.config.tls import TLSConfigV1Alpha1

#: Metadata key of the request, and of the answers in the initial metadata.
REQUEST_KEY = "request"
RESOURCE_KEY = "resource"
ACCEPT_ENCODING_KEY = "x_jmp_accept_encoding"
#: Additive: "1" in the initial metadata of a driver stream whose chunks may be merged and split.
BYTE_SEMANTICS_KEY = "x-jmp-byte-stream"
#: Additive, in the initial metadata: the exporter ends the call when the client sends RST_STREAM after its GOAWAY, so the
#: client can wait for that and knows that its last bytes have arrived. Stock exporters end a call only when it is cancelled.
CLOSES = ("x-jmp-closes", "1")


@dataclass(kw_only=True)
class DriverStreamRequest:
    """Opens the stream that the exported method *method* of driver *uuid* gives."""

    uuid: UUID
    method: str
    kind: Literal["driver"] = "driver"

    def to_json(self) -> str:
        return _dump({"kind": self.kind, "uuid": str(self.uuid), "method": self.method})

    def model_dump_json(self) -> str:
        """`to_json` under the name that pydantic models have for it."""
        return self.to_json()


@dataclass(kw_only=True)
class ResourceStreamRequest:
    """Opens a stream for data that a method of driver *uuid* will read or write."""

    uuid: UUID
    x_jmp_content_encoding: str | None = None
    kind: Literal["resource"] = "resource"

    def to_json(self) -> str:
        return _dump(
            {"kind": self.kind, "uuid": str(self.uuid), "x_jmp_content_encoding": self.x_jmp_content_encoding}
        )

    def model_dump_json(self) -> str:
        """`to_json` under the name that pydantic models have for it."""
        return self.to_json()


StreamRequest = DriverStreamRequest | ResourceStreamRequest


@dataclass(init=False)
class StreamRequestMetadata:
    """The metadata of a call that opens a stream: `request`, given as it arrives (a JSON text) or as an object.

    Entries of the metadata that mean something else are left out. Raises ValueError for what is no request.
    """

    request: StreamRequest

    def __init__(self, *, request: str | bytes | StreamRequest, **others: Any) -> None:
        is_parsed = isinstance(request, (DriverStreamRequest, ResourceStreamRequest))
        self.request = request if is_parsed else parse_stream_request(request)  # type: ignore[assignment,arg-type]

    @classmethod
    def model_construct(cls, *, request: StreamRequest) -> StreamRequestMetadata:
        """The metadata of *request*, under the name that pydantic models have for it."""
        return cls(request=request)

    def model_dump(self, mode: str = "json", *, round_trip: bool = True) -> dict[str, str]:
        """The metadata as it is sent; *mode* and *round_trip* are those of pydantic and make no difference."""
        return {REQUEST_KEY: self.request.to_json()}


@asynccontextmanager
async def connect_router_stream(
    endpoint: str,
    token: str,
    stream: AnyByteStream,
    tls_config: TLSConfigV1Alpha1,
    grpc_options: Mapping[str, Any] | None,
) -> AsyncGenerator[None]:
    """Join *stream* and the one that *token* opens at the router *endpoint*, until both directions have ended.

    *endpoint* and *token* are what the controller answered to Dial or Listen. *stream* is closed at the end. Raises
    ConnectionError when a certificate that is not to be verified cannot be fetched.
    """
    from jumpstarter_protocol import router_pb2_grpc

    from jumpstarter.common.grpc import aio_secure_channel, ssl_channel_credentials
    from jumpstarter.streams.common import forward_stream
    from jumpstarter.streams.router import RouterStream

    credentials = await ssl_channel_credentials(endpoint, tls_config)
    async with aio_secure_channel(endpoint, credentials, grpc_options) as channel:
        stub = router_pb2_grpc.RouterServiceStub(channel)  # type: ignore[no-untyped-call]
        call = stub.Stream(metadata=(("authorization", f"Bearer {token}"),))
        async with forward_stream(RouterStream(call), stream):
            yield


def _dump(fields: dict[str, str | None]) -> str:
    import json

    return json.dumps(fields)


def parse_stream_request(text: str | bytes | None) -> StreamRequest:
    """The request in the metadata of a Stream call. Raises ValueError saying what is wrong with it."""
    import json

    if text is None:
        raise ValueError(
            "the call has no metadata entry 'request': expected a JSON text that names a driver stream or resource"
        )
    try:
        data: Any = json.loads(text)
        uuid = UUID(str(data["uuid"]))
        kind = data["kind"]
        if kind == "driver":
            return DriverStreamRequest(uuid=uuid, method=str(data["method"]))
        if kind == "resource":
            return ResourceStreamRequest(uuid=uuid, x_jmp_content_encoding=_encoding(data))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"metadata entry 'request' {text[:200]!r} is not valid: {error}") from None
    raise ValueError(f"metadata entry 'request' of unknown kind {kind!r}: expected 'driver' or 'resource'")


def _encoding(data: dict[str, Any]) -> str | None:
    encoding = data.get("x_jmp_content_encoding")
    if encoding is not None and not isinstance(encoding, str):
        raise ValueError(
            f"x_jmp_content_encoding is {encoding!r}: expected the name of a compression, or null"
        )
    return encoding
