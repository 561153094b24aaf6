"""Calls that are made again by who did not get the answer, since the connection broke, and that run once all the same.

What both sides agree on, beside the protocol of Jumpstarter: an exporter that has `SERVICE` says so with its report. Whoever
makes a call there names it by a `CallName`, and makes it again under the same one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

#: Trailing metadata of GetReport of an exporter that has the service.
REPEATS_KEY: Final = "x-jmp-repeats"
#: Metadata of a call: its name.
NAME_KEY: Final = "x-jmp-call"

SERVICE: Final = "jumpstarter.session.RepeatedCalls"
#: As ExporterService has it; request and answer are the same.
CALL: Final = "DriverCall"
#: Ends the call of that name; request and answer are empty.
CANCEL: Final = "Cancel"

#: What is told of a call that was under way, and cannot be asked for again.
UNKNOWN_END: Final = "whether the call was done is not known"
ANEW: Final = f"the exporter was started anew while the call was under way: {UNKNOWN_END}"


def call_name(session: str, caller: str, number: int, lowest: int) -> str:
    """The text of a `CallName`."""
    return f"{session} {caller} {number} {lowest}"


@dataclass(frozen=True, slots=True)
class CallName:
    """Names one call.

    Attributes:
        session: the UUID of the exporter's session that it was made for.
        caller: who makes it, a random text.
        number: which one of theirs it is.
        lowest: all calls of theirs with lower numbers are answered.
    """

    session: str
    caller: str
    number: int
    lowest: int

    def __str__(self) -> str:
        return call_name(self.session, self.caller, self.number, self.lowest)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The reverse of `str`. Raises ValueError."""
        session, caller, number, lowest = text.split(" ")
        return cls(session, caller, int(number), int(lowest))


def lends_data(request: bytes) -> bool:
    """Whether the encoded *request* of a call names a stream of its client for data, which breaks with the connection."""
    return b"client_stream" in request
