"""The messages of the grpc limit: as large as those of the measured calls, and made beforehand."""

from __future__ import annotations

from typing import Any

from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Value
from jumpstarter_protocol import jumpstarter_pb2 as pb

from .payload import ECHO, ITEM, PONG, UUID


def value(content: Any) -> Value:
    """*content* as it travels."""
    return ParseDict(content, Value())


def request(method: str, *arguments: Any) -> pb.DriverCallRequest:
    """A call of *method*."""
    return pb.DriverCallRequest(uuid=UUID, method=method, args=[value(one) for one in arguments])


RESPONSES = {
    "ping": pb.DriverCallResponse(uuid=UUID, result=value(PONG)),
    "echo": pb.DriverCallResponse(uuid=UUID, result=value(ECHO)),
}
ITEM_RESPONSE = pb.StreamingDriverCallResponse(uuid=UUID, result=value(ITEM))
