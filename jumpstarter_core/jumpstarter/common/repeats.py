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


@dataclass(frozen=True)
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
        return f"{self.session} {self.caller} {self.number} {self.lowest}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The reverse of `str`. Raises ValueError."""
        session, caller, number, lowest = text.split(" ")
        return cls(session, caller, int(number), int(lowest))
