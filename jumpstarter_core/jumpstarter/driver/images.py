"""Images that a driver writes to a device, whoever sends them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from jumpstarter.common.images import HEAD_SIZE, compression_of
from jumpstarter.streams.compression import inflated

__all__ = ["image_chunks"]


def image_chunks(stream: Any) -> Iterator[bytes]:
    """The image that the resource *stream* has, piece by piece.

    What the exporter fetches itself is decompressed as its name and first bytes tell; a client that sends an image does that
    by itself. Raises ValueError, before the first piece, for an image that is empty or whose compression is not certain.
    """
    pieces = iter(stream)
    head = _head(pieces)
    if stream.url is None:
        compression_of("that was sent", head, "none")
        return chain([head], pieces)
    from jumpstarter.common.webaddress import file_name

    compression = compression_of(file_name(stream.url), head, undone=stream.coding)
    chunks: Iterable[bytes] = chain([head], pieces)
    return iter(chunks) if compression is None else inflated(chunks, compression)


def _head(pieces: Iterator[bytes]) -> bytes:
    head = b""
    while len(head) < HEAD_SIZE and (piece := next(pieces, None)) is not None:
        head += piece
    return head
