"""Frames of a byte stream, read and written without protobuf.

A frame is StreamRequest or StreamResponse of router.proto: field 1 is the payload, field 2 the type. Both messages have the
same two fields, so one codec serves both, and one copy of the payload is all it costs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final

DATA: Final = 0
RST_STREAM: Final = 3
PING: Final = 6
GOAWAY: Final = 7

#: Largest payload of a stream whose chunks may be merged and split.
MAX_PAYLOAD: Final = 1 << 20
#: Largest payload at all: gRPC refuses messages above 4 MiB. Messages beyond it lose their boundary, not their bytes.
MAX_MESSAGE: Final = (4 << 20) - 1024

Frame = tuple[int, bytes]
GOAWAY_FRAME: Final[Frame] = (GOAWAY, b"")


def split(chunk: bytes, most: int) -> Iterator[Frame]:
    """DATA frames of *chunk*, with *most* bytes each at the most."""
    if len(chunk) <= most:
        yield DATA, chunk
        return
    for start in range(0, len(chunk), most):
        yield DATA, chunk[start : start + most]


def encode_frame(frame: tuple[int, bytes | memoryview]) -> bytes:
    """The wire form of (type, payload)."""
    kind, payload = frame
    tail = b"\x10" + bytes((kind,)) if kind else b""
    if not payload:
        return tail
    return b"".join((b"\x0a", _varint(len(payload)), payload, tail))


def decode_frame(data: bytes) -> Frame:
    """(type, payload) of a frame as our and all known peers write it; anything else goes through protobuf."""
    if not data:
        return DATA, b""
    if data[0] == 0x0A:
        length, start = _read_varint(data, 1)
        end = start + length
        if end == len(data):
            return DATA, data[start:]
        if end + 2 == len(data) and data[end] == 0x10 and data[end + 1] < 0x80:
            return data[end + 1], data[start:end]
    elif data[0] == 0x10 and len(data) == 2 and data[1] < 0x80:
        return data[1], b""
    return _decode_any(data)


def view_frame(data: bytes) -> tuple[int, bytes | memoryview]:
    """As `decode_frame`; the payload may be a view of *data* instead of a copy."""
    if len(data) > 2 and data[0] == 0x0A:
        length, start = _read_varint(data, 1)
        if start + length == len(data):
            return DATA, memoryview(data)[start:]
    return decode_frame(data)


def _decode_any(data: bytes) -> Frame:
    from jumpstarter_protocol import router_pb2

    message = router_pb2.StreamRequest.FromString(data)
    return message.frame_type, message.payload


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    """(number, where it ends); a number beyond every length for one that is cut, or longer than a length needs to be."""
    number = 0
    for shift, byte in zip(range(0, 35, 7), data[position : position + 5], strict=False):
        number |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            return number, position
    return sys.maxsize, position
