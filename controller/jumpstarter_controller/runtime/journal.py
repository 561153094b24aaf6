"""The store as the lab's loop uses it: without blocking, a draft a transaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from jumpstarter_controller.model import AuditEntry, Exporter, Lease
from jumpstarter_controller.store import Store, Transaction, open_store

from .draft import Draft, Records, Table

T = TypeVar("T")

#: How long the audit log goes back, and how long a token is remembered after it expired.
KEEP_AUDIT: Final = timedelta(days=365)
KEEP_TOKENS: Final = timedelta(days=1)
_PAGE: Final = 500


class _Target(Protocol):
    def add(self, record: Any) -> None: ...
    def save(self, record: Any) -> None: ...


class StoreJournal:
    """`jumpstarter_controller.runtime.lab.Journal` over a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def load(self) -> Records:
        return await self._read(_load)

    async def commit(self, draft: Draft) -> None:
        await asyncio.wrap_future(self._store.submit(lambda transaction: _write(draft, transaction)))

    async def lease(self, name: str) -> Lease | None:
        return await self._read(lambda transaction: transaction.leases.get(name))

    async def ended_leases(self) -> Sequence[Lease]:
        return await self._read(lambda transaction: [each for each in _all_leases(transaction) if each.ended])

    async def audit(self, limit: int) -> Sequence[AuditEntry]:
        return await self._read(lambda transaction: transaction.audit.latest(limit))

    async def forget(self, before: datetime, now: datetime) -> int:
        def purge(transaction: Transaction) -> int:
            transaction.tokens.purge(now - KEEP_TOKENS)
            transaction.audit.purge(now - KEEP_AUDIT)
            return transaction.leases.purge(before)

        return await asyncio.wrap_future(self._store.submit(purge))

    async def _read(self, work: Callable[[Transaction], T]) -> T:
        return await asyncio.to_thread(self._store.read, work)


@asynccontextmanager
async def open_journal(path: Path) -> AsyncIterator[StoreJournal]:
    """The store in the file *path*. Raises what `open_store` raises."""
    store = await asyncio.to_thread(open_store, path)
    try:
        yield StoreJournal(store)
    finally:
        await asyncio.to_thread(store.close)


def _load(transaction: Transaction) -> Records:
    return Records(
        clients={client.name: client for client in transaction.clients.all()},
        exporters={exporter.name: exporter for exporter in transaction.exporters.all()},
        leases={lease.name: lease for lease in transaction.leases.active()},
        policies={policy.name: policy for policy in transaction.policies.all()},
        tokens={token.id: token for token in transaction.tokens.all()},
    )


def _all_leases(transaction: Transaction) -> list[Lease]:
    found: list[Lease] = []
    while page := transaction.leases.page(after=found[-1].name if found else "", limit=_PAGE):
        found += page
    return found


def _write(draft: Draft, transaction: Transaction) -> None:
    _write_named(draft.clients, transaction.clients)
    _write_exporters(draft, transaction)
    _write_named(draft.policies, transaction.policies)
    for name, token in draft.tokens.changed.items():
        if token is not None:
            _put(draft.tokens, name, token, transaction.tokens)
    # Those that let an exporter go before those that take one.
    leases = [(name, lease) for name, lease in draft.leases.changed.items() if lease is not None]
    for name, lease in sorted(leases, key=lambda item: not item[1].ended):
        _put(draft.leases, name, lease, transaction.leases)
    for entry in draft.audit:
        transaction.audit.append(entry)


def _write_exporters(draft: Draft, transaction: Transaction) -> None:
    """All that changed, but not what only tells that an exporter is there: that would be a write for every report."""
    for name, exporter in draft.exporters.changed.items():
        before = draft.exporters.before(name)
        if exporter is None:
            transaction.exporters.delete(name)
        elif draft.writes_seen or before is None or not _same_but_seen(before, exporter):
            _put(draft.exporters, name, exporter, transaction.exporters)


def _same_but_seen(before: Exporter, after: Exporter) -> bool:
    return replace(after, last_seen=before.last_seen, lost_at=before.lost_at) == before


def _write_named(table: Table[Any], target: Any) -> None:
    for name, record in table.changed.items():
        if record is None:
            target.delete(name)
        else:
            _put(table, name, record, target)


def _put(table: Table[Any], name: str, record: Any, target: _Target) -> None:
    if table.existed(name):
        target.save(record)
    else:
        target.add(record)
