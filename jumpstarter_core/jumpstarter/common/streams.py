"""Requests that open a byte stream on an exporter: the JSON text in the call's metadata entry ``request``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

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


StreamRequest = DriverStreamRequest | ResourceStreamRequest


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
