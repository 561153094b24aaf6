"""The messages and sizes that all measured processes share."""

from __future__ import annotations

from typing import Any, Final

#: What a call of `ping` gives.
PONG: Final = "pong"
#: What `echo` sends there and back.
ECHO: Final[dict[str, Any]] = {f"k{i}": [1, 2.5, "x"] for i in range(10)}
#: What a generator gives, again and again.
ITEM: Final[dict[str, Any]] = {"a": 1, "b": "text", "c": 1.5}
#: One send of a byte stream, and of what is written to a socket.
CHUNK: Final = bytes(64 << 10)
#: A UUID has this many characters; the messages of the limit have one where Jumpstarter's do.
UUID: Final = "0a1b2c3d-0000-4000-8000-0123456789ab"
