"""The store as the lab's loop uses it: without blocking, a draft a transaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from jumpstarter_controller.model import Age, AuditEntry, Exporter, Lease
from jumpstarter_controller.store import Store, Transaction, open_store

from .draft import Draft, Records, Table

T = TypeVar("T")

#: How long the audit log goes back, and how long a token is remembered after it expired.
KEEP_AUDIT: Final = timedelta(days=365)
KEEP_TOKENS: Final = timedelta(days=1)


class _Target(Protocol):
    def add(self, *records: Any) -> None: ...
    def save(self, *records: Any) -> None: ...


class StoreJournal:
    """`jumpstarter_controller.runtime.lab.Journal` over a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def load(self) -> Records:
        return await self._read(_load)

    async def commit(self, draft: Draft) -> None:
        exporters = _worth_writing(draft)
        # Most of what exporters say changes nothing that is kept: the disk need not be waited for then.
        if exporters or draft.audit or _changes_others(draft):
            await asyncio.wrap_future(
                self._store.submit(lambda transaction: _write(draft, exporters, transaction))
            )

    async def lease(self, name: str) -> Lease | None:
        return await self._read(lambda transaction: transaction.leases.get(name))

    async def ended_leases(self, after: Age | None, limit: int) -> Sequence[Lease]:
        return await self._read(lambda transaction: transaction.leases.ended(after=after, limit=limit))

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


def _changes_others(draft: Draft) -> bool:
    tables = (draft.clients, draft.policies, draft.tokens, draft.leases)
    return any(table.changed for table in tables)


def _worth_writing(draft: Draft) -> dict[str, Exporter | None]:
    """The exporters that changed, but not those of which there is nothing new but that they are there."""
    found = {}
    for name, exporter in draft.exporters.changed.items():
        before = draft.exporters.before(name)
        if draft.writes_seen or exporter is None or before is None or not _same_but_seen(before, exporter):
            found[name] = exporter
    return found


def _write(draft: Draft, exporters: Mapping[str, Exporter | None], transaction: Transaction) -> None:
    _write_table(draft.clients, draft.clients.changed, transaction.clients)
    _write_table(draft.exporters, exporters, transaction.exporters)
    _write_table(draft.policies, draft.policies.changed, transaction.policies)
    _put(draft.tokens, draft.tokens.changed, transaction.tokens)
    # Those that let an exporter go before those that take one.
    leases = sorted(draft.leases.changed.items(), key=lambda item: item[1] is not None and not item[1].ended)
    _put(draft.leases, dict(leases), transaction.leases)
    transaction.audit.append(*draft.audit)


def _same_but_seen(before: Exporter, after: Exporter) -> bool:
    return replace(after, last_seen=before.last_seen, lost_at=before.lost_at) == before


def _write_table(table: Table[Any], changed: Mapping[str, Any], target: Any) -> None:
    for name, record in changed.items():
        if record is None:
            target.delete(name)
    _put(table, changed, target)


def _put(table: Table[Any], changed: Mapping[str, Any], target: _Target) -> None:
    kept = {name: record for name, record in changed.items() if record is not None}
    target.save(*(record for name, record in kept.items() if table.existed(name)))
    target.add(*(record for name, record in kept.items() if not table.existed(name)))
