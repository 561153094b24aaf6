"""Changes in the making: what an operation writes is seen by the next one, and by nobody else before it is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from jumpstarter_controller.model import AccessPolicy, AuditEntry, Client, Exporter, Lease, Token

T = TypeVar("T")


class Table(Generic[T]):
    """Records by name: those of *below*, and what was put here or taken away."""

    def __init__(self, below: Mapping[str, T] | Table[T]) -> None:
        self._below = below
        self.changed: dict[str, T | None] = {}

    def get(self, name: str) -> T | None:
        if name in self.changed:
            return self.changed[name]
        return self._below.get(name)

    def before(self, name: str) -> T | None:
        """The record as it was before anything was changed here."""
        return self._below.get(name)

    def existed(self, name: str) -> bool:
        """Whether there was such a record before anything was changed here."""
        return self._below.get(name) is not None

    def put(self, name: str, record: T) -> None:
        self.changed[name] = record

    def delete(self, name: str) -> None:
        self.changed[name] = None

    def __len__(self) -> int:
        changed = self.changed.items()
        return len(self._below) + sum((record is not None) - self.existed(name) for name, record in changed)

    def values(self) -> Iterator[T]:
        """All records, in the order in which they came."""
        return (record for _, record in self.items())

    def items(self) -> Iterator[tuple[str, T]]:
        seen = set()
        for name, record in self._below.items():
            if name not in self.changed:
                yield name, record
            else:
                seen.add(name)
                found = self.changed[name]
                if found is not None:
                    yield name, found
        for name, added in self.changed.items():
            if name not in seen and added is not None:
                yield name, added

    def absorb(self, above: Table[T]) -> None:
        """Take over what was changed in *above*."""
        self.changed.update(above.changed)


@dataclass(frozen=True)
class Records:
    """The lab in memory. *leases* are those that have not ended; policies and tokens are by name and id."""

    clients: dict[str, Client] = field(default_factory=dict)
    exporters: dict[str, Exporter] = field(default_factory=dict)
    leases: dict[str, Lease] = field(default_factory=dict)
    policies: dict[str, AccessPolicy] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)


class Draft:
    """The lab as it will be, at the time *now*."""

    def __init__(self, below: Records | Draft, now: datetime) -> None:
        self.now = now
        self.clients: Table[Client] = Table(below.clients)
        self.exporters: Table[Exporter] = Table(below.exporters)
        self.leases: Table[Lease] = Table(below.leases)
        self.policies: Table[AccessPolicy] = Table(below.policies)
        self.tokens: Table[Token] = Table(below.tokens)
        self.audit: list[AuditEntry] = []
        #: Whether it is to be written down when exporters were last heard of, too.
        self.writes_seen = False

    def note(self, actor: str, action: str, subject: str, detail: str = "") -> None:
        """Write down who did what."""
        self.audit.append(AuditEntry(at=self.now, actor=actor, action=action, subject=subject, detail=detail))

    def absorb(self, above: Draft) -> None:
        """Take over an operation that went well."""
        self.clients.absorb(above.clients)
        self.exporters.absorb(above.exporters)
        self.leases.absorb(above.leases)
        self.policies.absorb(above.policies)
        self.tokens.absorb(above.tokens)
        self.audit += above.audit

    @property
    def changes_records(self) -> bool:
        """Whether anything but the audit log changes."""
        tables = (self.clients, self.exporters, self.leases, self.policies, self.tokens)
        return any(table.changed for table in tables)
