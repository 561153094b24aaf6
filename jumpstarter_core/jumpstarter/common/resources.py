"""Handles by which a client names data that a driver shall read or write, in their wire form (dictionaries).

Source of the shapes: what Jumpstarter 0.9 peers send. They are plain dictionaries on the wire; these classes check them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal
from uuid import UUID

from .webaddress import is_url


@dataclass(kw_only=True)
class ClientStreamResource:
    """Data that the client streams; `uuid` was told when the stream was opened.

    `x_jmp_content_encoding` says how the client's bytes are compressed: gzip, xz, bz2, zstd or None.
    """

    uuid: UUID
    kind: Literal["client_stream"] = "client_stream"
    x_jmp_content_encoding: str | None = None

    def model_dump(self, mode: str = "python") -> dict[str, Any]:
        """The wire form, under the name that pydantic models have for it; *mode* makes no difference."""
        return resource_dict(self)


@dataclass(kw_only=True)
class PresignedRequestResource:
    """Data behind a URL that the exporter reads (GET) or writes (PUT) by itself."""

    url: str
    method: Literal["GET", "PUT"]
    headers: dict[str, str] = field(default_factory=dict)
    kind: Literal["presigned_request"] = "presigned_request"

    def model_dump(self, mode: str = "python") -> dict[str, Any]:
        """The wire form, under the name that pydantic models have for it; *mode* makes no difference."""
        return resource_dict(self)


Resource = ClientStreamResource | PresignedRequestResource


@dataclass(init=False)
class ResourceMetadata:
    """What an exporter tells when a client opens a stream for a resource: the handle, and the compression that it takes.

    *resource* is given as it arrives (a JSON text) or as an object; entries of the metadata that mean something else are left
    out. Raises ValueError for what is no handle.
    """

    resource: Resource
    x_jmp_accept_encoding: str | None = None

    def __init__(
        self, *, resource: str | bytes | Resource, x_jmp_accept_encoding: str | None = None, **others: Any
    ) -> None:
        import json

        self.resource = parse_resource(
            json.loads(resource) if isinstance(resource, (str, bytes)) else resource
        )
        self.x_jmp_accept_encoding = x_jmp_accept_encoding

    @classmethod
    def model_construct(
        cls, *, resource: Resource, x_jmp_accept_encoding: str | None = None
    ) -> ResourceMetadata:
        """The metadata of *resource*, under the name that pydantic models have for it."""
        return cls(resource=resource, x_jmp_accept_encoding=x_jmp_accept_encoding)

    def model_dump(self, mode: str = "json", *, round_trip: bool = False) -> dict[str, Any]:
        """The fields; with *round_trip* as they are sent, the handle as JSON. *mode* makes no difference."""
        import json

        handle: Any = resource_dict(self.resource)
        return {
            "resource": json.dumps(handle) if round_trip else handle,
            "x_jmp_accept_encoding": self.x_jmp_accept_encoding,
        }


def parse_resource(handle: Any) -> Resource:
    """The checked form of a handle. Raises ValueError saying what is wrong with it."""
    if isinstance(handle, (ClientStreamResource, PresignedRequestResource)):
        return handle
    if not isinstance(handle, dict):
        raise ValueError(
            f"a resource handle is a dictionary, not {type(handle).__name__}: pass what the client's resource() gave"
        )
    kind = handle.get("kind")
    if kind == "client_stream":
        return _client_stream(handle)
    if kind == "presigned_request":
        return _presigned(handle)
    raise ValueError(
        f"resource handle of unknown kind {kind!r}: expected 'client_stream' or 'presigned_request'"
    )


def _client_stream(handle: dict[str, Any]) -> ClientStreamResource:
    try:
        uuid = UUID(str(handle.get("uuid")))
    except ValueError:
        raise ValueError(f"resource handle with uuid {handle.get('uuid')!r}: expected a UUID") from None
    return ClientStreamResource(uuid=uuid, x_jmp_content_encoding=handle.get("x_jmp_content_encoding"))


def _presigned(handle: dict[str, Any]) -> PresignedRequestResource:
    url, method, headers = handle.get("url"), handle.get("method"), handle.get("headers", {})
    if not isinstance(url, str) or not is_url(url):
        # Not shown: it may have a password in it.
        raise ValueError("presigned request with a url that is none: expected an http:// or https:// address")
    if method not in ("GET", "PUT"):
        raise ValueError(f"presigned request with method {method!r}: expected 'GET' or 'PUT'")
    if not isinstance(headers, dict):
        raise ValueError("presigned request with headers that are no dictionary")
    return PresignedRequestResource(
        url=url, method=method, headers={str(k): str(v) for k, v in headers.items()}
    )


def resource_dict(resource: Resource) -> dict[str, Any]:
    """The wire form of *resource*."""
    data = asdict(resource)
    if isinstance(resource, ClientStreamResource):
        data["uuid"] = str(resource.uuid)
    return data
