"""Marks in an exporter's log, by which a client knows that it has seen all that was logged until then.

What both sides agree on, beside the protocol of Jumpstarter: a client names its log, and asks for the status under that name.
The exporter puts a mark behind the lines that were logged until then. To others a status is a status.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

#: Metadata of LogStream: what the client calls its log, a random text. Of GetStatus: the log to be marked; in its trailing
#: metadata: it is marked. The mark is a line without a severity, with that text as its uuid.
MARK_KEY: Final = "x-jmp-log-mark"


def mark_in(metadata: Iterable[tuple[str, str | bytes]] | None) -> str:
    """The log that *metadata* names, or ""."""
    return next((str(value) for key, value in metadata or () if key == MARK_KEY), "")
