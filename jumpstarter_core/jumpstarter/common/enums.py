"""The wire's enumerations as Python ones, with the numbers of common.proto."""

from __future__ import annotations

from enum import IntEnum
from typing import Self


class _ProtoEnum(IntEnum):
    def __str__(self) -> str:
        return self.name

    @classmethod
    def from_proto(cls, number: int) -> Self:
        """The member for a number from the wire; UNSPECIFIED for one that is not known here."""
        try:
            return cls(number)
        except ValueError:
            return cls(0)

    def to_proto(self) -> int:
        """The number for the wire."""
        return self.value


class ExporterStatus(_ProtoEnum):
    """Where an exporter stands in the life of a lease."""

    UNSPECIFIED = 0
    OFFLINE = 1
    AVAILABLE = 2
    BEFORE_LEASE_HOOK = 3
    LEASE_READY = 4
    AFTER_LEASE_HOOK = 5
    BEFORE_LEASE_HOOK_FAILED = 6
    AFTER_LEASE_HOOK_FAILED = 7


#: Drivers may be used: by the client when the lease is ready, by the hooks while they run.
OPEN_STATUSES = frozenset(
    {ExporterStatus.BEFORE_LEASE_HOOK, ExporterStatus.LEASE_READY, ExporterStatus.AFTER_LEASE_HOOK}
)


class LogSource(_ProtoEnum):
    """Which part of an exporter wrote a log line."""

    UNSPECIFIED = 0
    DRIVER = 1
    BEFORE_LEASE_HOOK = 2
    AFTER_LEASE_HOOK = 3
    SYSTEM = 4
