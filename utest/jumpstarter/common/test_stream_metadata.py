"""The metadata of calls that open streams, as classes."""

from __future__ import annotations

import json
from uuid import UUID

import pytest
from jumpstarter.common.resources import (
    ClientStreamResource,
    PresignedRequestResource,
    ResourceMetadata,
)
from jumpstarter.common.streams import DriverStreamRequest, ResourceStreamRequest, StreamRequestMetadata

UUID_ONE = UUID(int=1)


@pytest.mark.parametrize(
    "request_",
    [
        DriverStreamRequest(uuid=UUID_ONE, method="connect"),
        ResourceStreamRequest(uuid=UUID_ONE, x_jmp_content_encoding="gzip"),
    ],
    ids=["driver", "resource"],
)
def test_request_goes_there_and_back(request_: DriverStreamRequest | ResourceStreamRequest) -> None:
    metadata = StreamRequestMetadata.model_construct(request=request_)
    sent = metadata.model_dump(mode="json", round_trip=True)
    assert json.loads(sent["request"]) == json.loads(request_.model_dump_json())
    read = StreamRequestMetadata(**sent, **{"user-agent": "grpc-python"})
    assert read == metadata
    assert read.request == request_


def test_what_is_no_request_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown kind 'x'"):
        StreamRequestMetadata(request=f'{{"kind": "x", "uuid": "{UUID_ONE}"}}')


def test_handle_goes_there_and_back() -> None:
    handle = ClientStreamResource(uuid=UUID_ONE)
    metadata = ResourceMetadata.model_construct(resource=handle)
    sent = metadata.model_dump(mode="json", round_trip=True)
    assert json.loads(sent["resource"])["uuid"] == str(UUID_ONE)
    assert sent["x_jmp_accept_encoding"] is None
    assert ResourceMetadata(**sent, date="today").resource == handle
    assert metadata.model_dump(mode="json")["resource"] == handle.model_dump()


def test_presigned_handle_and_encoding_are_read() -> None:
    text = '{"kind": "presigned_request", "url": "http://h/x", "method": "GET", "headers": {}}'
    metadata = ResourceMetadata(resource=text, x_jmp_accept_encoding="gzip")
    assert metadata.resource == PresignedRequestResource(url="http://h/x", method="GET")
    assert metadata.x_jmp_accept_encoding == "gzip"
    with pytest.raises(ValueError, match="unknown kind"):
        ResourceMetadata(resource="{}")
