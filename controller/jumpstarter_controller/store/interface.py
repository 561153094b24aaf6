"""What the services see of a store: records in tables, read and changed in transactions. No SQL and no services here.

A piece of work is a function of a `Transaction`. It runs as a whole or, when it raises, not at all, and it may run on
another thread: it must be short, must not block and must not use the store by other means than its transaction. Records are
frozen values; what a transaction returned never changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import Protocol, TypeVar

from jumpstarter.common.exceptions import JumpstarterException

from jumpstarter_controller.model import AccessPolicy, Age, AuditEntry, Client, Exporter, Lease, Token

R = TypeVar("R")
T = TypeVar("T")


class StoreError(JumpstarterException):
    """Raised when the store cannot be opened, read or written; of the work that met it nothing was done."""


class StoreClosed(StoreError):
    """Raised when the store is used after it was closed."""


class Table(Protocol[R]):
    """Records by name."""

    def get(self, name: str) -> R | None:
        """The record, or None."""
        ...

    def all(self) -> Sequence[R]:
        """All records, ordered by name."""
        ...

    def add(self, *records: R) -> None:
        """New records. Raises AlreadyExists when a name or uid is taken."""
        ...

    def save(self, *records: R) -> None:
        """The records of these names as they are now, in this order. Raises NotFound when there is none of a name."""
        ...

    def delete(self, name: str) -> bool:
        """Remove the record; False when there was none. Leases stay, whatever they name."""
        ...


class LeaseTable(Protocol):
    """Leases; those that ended are kept until they are purged."""

    def get(self, name: str) -> Lease | None:
        """The lease, or None."""
        ...

    def active(self) -> Sequence[Lease]:
        """Those that have not ended, the oldest first."""
        ...

    def page(self, *, after: str = "", limit: int = 500, active_only: bool = False) -> Sequence[Lease]:
        """At most *limit* leases whose names come after *after*, ordered by name."""
        ...

    def ended(self, *, after: Age | None = None, limit: int = 500) -> Sequence[Lease]:
        """At most *limit* leases that have ended, the oldest first, those of one time by name.

        *after* is the time of creation and the name of the one before them.
        """
        ...

    def add(self, *leases: Lease) -> None:
        """New leases. Raises AlreadyExists when a name is taken, ExporterTaken as `save`."""
        ...

    def save(self, *leases: Lease) -> None:
        """The leases as they are now, in this order.

        Raises NotFound when there is none of a name, ExporterTaken when one would be the second holder of an exporter.
        """
        ...

    def purge(self, ended_before: datetime) -> int:
        """Forget leases that ended before that time; how many there were."""
        ...


class TokenTable(Protocol):
    """Tokens that were issued."""

    def get(self, token_id: str) -> Token | None:
        """The token, or None."""
        ...

    def all(self) -> Sequence[Token]:
        """All of them."""
        ...

    def add(self, *tokens: Token) -> None:
        """New tokens. Raises AlreadyExists when an id is taken."""
        ...

    def save(self, *tokens: Token) -> None:
        """The tokens as they are now. Raises NotFound when there is none of an id."""
        ...

    def purge(self, expired_before: datetime) -> int:
        """Forget tokens that expired before that time; how many there were."""
        ...


class AuditLog(Protocol):
    """Who did what."""

    def append(self, *entries: AuditEntry) -> None:
        """Write *entries* down."""
        ...

    def latest(self, limit: int = 100, *, subject: str | None = None) -> Sequence[AuditEntry]:
        """The latest entries (about *subject* only, where given), the latest first."""
        ...

    def purge(self, before: datetime) -> int:
        """Forget entries from before that time; how many there were."""
        ...


class Transaction(Protocol):
    """One view of all tables, in which nobody else's work shows."""

    @property
    def leases(self) -> LeaseTable: ...
    @property
    def exporters(self) -> Table[Exporter]: ...
    @property
    def clients(self) -> Table[Client]: ...
    @property
    def policies(self) -> Table[AccessPolicy]: ...
    @property
    def tokens(self) -> TokenTable: ...
    @property
    def audit(self) -> AuditLog: ...


class Store(Protocol):
    """Where the lab's state lives. All methods may be called from any thread."""

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run *work* on one consistent state; it must not change anything."""
        ...

    def change(self, work: Callable[[Transaction], T]) -> T:
        """Run *work*; when this returns, what it did is durable. What *work* raises is raised here, and nothing is done."""
        ...

    def submit(self, work: Callable[[Transaction], T]) -> Future[T]:
        """As `change`, without waiting. Work of one thread takes effect in the order in which it was submitted."""
        ...

    def close(self) -> None:
        """Finish the work that was submitted, and let the store go. Later calls raise StoreClosed."""
        ...
