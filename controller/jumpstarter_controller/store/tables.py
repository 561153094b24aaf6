"""The tables of a transaction, in SQL. The statements are made once; SQLAlchemy keeps their compiled form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Table, bindparam, delete, insert, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from jumpstarter_controller.model import (
    AccessPolicy,
    Age,
    AlreadyExists,
    AuditEntry,
    Client,
    Exporter,
    ExporterTaken,
    Lease,
    NotFound,
    Token,
)

from . import codec, schema

R = TypeVar("R")


class RecordKind(Generic[R]):
    """How records of one kind are written: their table, their key column and the statements for them."""

    def __init__(
        self,
        word: str,
        table: Table,
        to_row: Callable[[R], codec.Row],
        from_row: Callable[..., R],
    ) -> None:
        (key,) = table.primary_key.columns
        self.word = word
        self.key = key.name
        self.to_row = to_row
        self.from_row = from_row
        self.get = select(table).where(key == bindparam("wanted"))
        self.all = select(table).order_by(key)
        self.add = insert(table)
        others: dict[str, Any] = {
            column.name: bindparam(column.name) for column in table.columns if column is not key
        }
        self.save = update(table).where(key == bindparam("wanted")).values(others)
        self.delete = delete(table).where(key == bindparam("wanted"))


LEASES = RecordKind("lease", schema.leases, codec.lease_to_row, codec.lease_from_row)
EXPORTERS = RecordKind("exporter", schema.exporters, codec.exporter_to_row, codec.exporter_from_row)
CLIENTS = RecordKind("client", schema.clients, codec.client_to_row, codec.client_from_row)
POLICIES = RecordKind("policy", schema.policies, codec.policy_to_row, codec.policy_from_row)
TOKENS = RecordKind("token", schema.tokens, codec.token_to_row, codec.token_from_row)

_leases, _tokens, _audit = schema.leases.c, schema.tokens.c, schema.audit.c
_ACTIVE = select(schema.leases).where(_leases.ended_at.is_(None)).order_by(_leases.created_at, _leases.name)
_PAGE = (
    select(schema.leases)
    .where(_leases.name > bindparam("after"))
    .order_by(_leases.name)
    .limit(bindparam("most"))
)
_ACTIVE_PAGE = _PAGE.where(_leases.ended_at.is_(None))
_ENDED_PAGE = (
    select(schema.leases)
    .where(
        _leases.ended_at.is_not(None),
        tuple_(_leases.created_at, _leases.name) > tuple_(bindparam("since"), bindparam("after")),
    )
    .order_by(_leases.created_at, _leases.name)
    .limit(bindparam("most"))
)
_PURGE_LEASES = delete(schema.leases).where(_leases.ended_at < bindparam("before"))
_PURGE_TOKENS = delete(schema.tokens).where(_tokens.expires_at < bindparam("before"))
_APPEND = insert(schema.audit)
_LATEST = (
    select(_audit.at, _audit.actor, _audit.action, _audit.subject, _audit.detail)
    .order_by(_audit.number.desc())
    .limit(bindparam("most"))
)
_LATEST_OF = _LATEST.where(_audit.subject == bindparam("about"))
_PURGE_AUDIT = delete(schema.audit).where(_audit.at < bindparam("before"))


class SqlTable(Generic[R]):
    """Records of one kind, by their key."""

    def __init__(self, kind: RecordKind[R], connection: Connection) -> None:
        self._kind = kind
        self._connection = connection

    def get(self, name: str) -> R | None:
        return self._one(self._kind.get, wanted=name)

    def all(self) -> Sequence[R]:
        return self._many(self._kind.all)

    def add(self, *records: R) -> None:
        self._write(self._kind.add, [self._kind.to_row(record) for record in records])

    def save(self, *records: R) -> None:
        rows = [self._kind.to_row(record) for record in records]
        self._write(self._kind.save, [{**row, "wanted": row[self._kind.key]} for row in rows])

    def _write(self, statement: Any, rows: list[codec.Row]) -> None:
        """All *rows* with one execution: that of a statement costs more than what it does."""
        if not rows:
            return
        try:
            found = self._connection.execute(statement, rows)
        except IntegrityError as error:
            raise self._conflict(error, rows) from None
        if found.rowcount < len(rows):
            raise NotFound(f"there is no {self._kind.word} {_each(rows, self._kind.key)}")

    def delete(self, name: str) -> bool:
        return self._count(self._kind.delete, wanted=name) > 0

    def _conflict(self, error: IntegrityError, rows: list[codec.Row]) -> Exception:
        """What the caller is told of rows of which the database refuses one."""
        word, names = self._kind.word, _each(rows, self._kind.key)
        if "uid" in str(error.orig):
            return AlreadyExists(f"{word} {names}: uid {_each(rows, 'uid')} is taken")
        return AlreadyExists(f"{word} {names} exists already; choose another name")

    def _one(self, statement: Any, **values: Any) -> R | None:
        row = self._connection.execute(statement, values).first()
        return None if row is None else self._kind.from_row(*row)

    def _many(self, statement: Any, **values: Any) -> list[R]:
        return [self._kind.from_row(*row) for row in self._connection.execute(statement, values).all()]

    def _count(self, statement: Any, **values: Any) -> int:
        return self._connection.execute(statement, values).rowcount


class SqlLeases(SqlTable[Lease]):
    def active(self) -> Sequence[Lease]:
        return self._many(_ACTIVE)

    def page(self, *, after: str = "", limit: int = 500, active_only: bool = False) -> Sequence[Lease]:
        return self._many(_ACTIVE_PAGE if active_only else _PAGE, after=after, most=limit)

    def ended(self, *, after: Age | None = None, limit: int = 500) -> Sequence[Lease]:
        since, name = (0, "") if after is None else (codec.time_to_row(after[0]), after[1])
        return self._many(_ENDED_PAGE, since=since, after=name, most=limit)

    def purge(self, ended_before: datetime) -> int:
        return self._count(_PURGE_LEASES, before=codec.time_to_row(ended_before))

    def _conflict(self, error: IntegrityError, rows: list[codec.Row]) -> Exception:
        if "leases.exporter" in str(error.orig):
            names, exporters = _each(rows, "name"), _each(rows, "exporter")
            return ExporterTaken(f"lease {names} cannot have exporter {exporters}: another lease holds it")
        return super()._conflict(error, rows)


class SqlTokens(SqlTable[Token]):
    def purge(self, expired_before: datetime) -> int:
        return self._count(_PURGE_TOKENS, before=codec.time_to_row(expired_before))


class SqlAuditLog:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, *entries: AuditEntry) -> None:
        if entries:
            self._connection.execute(_APPEND, [codec.entry_to_row(entry) for entry in entries])

    def latest(self, limit: int = 100, *, subject: str | None = None) -> Sequence[AuditEntry]:
        if subject is None:
            rows = self._connection.execute(_LATEST, {"most": limit})
        else:
            rows = self._connection.execute(_LATEST_OF, {"most": limit, "about": subject})
        return [codec.entry_from_row(*row) for row in rows]

    def purge(self, before: datetime) -> int:
        return self._connection.execute(_PURGE_AUDIT, {"before": codec.time_to_row(before)}).rowcount


def _each(rows: list[codec.Row], column: str) -> str:
    """The values of *column*, for a message: which of them it is about the database does not tell."""
    return " or ".join(str(row[column]) for row in rows)


class SqlTransaction:
    """All tables over one connection, which is in a transaction."""

    def __init__(self, connection: Connection) -> None:
        self.leases = SqlLeases(LEASES, connection)
        self.exporters: SqlTable[Exporter] = SqlTable(EXPORTERS, connection)
        self.clients: SqlTable[Client] = SqlTable(CLIENTS, connection)
        self.policies: SqlTable[AccessPolicy] = SqlTable(POLICIES, connection)
        self.tokens = SqlTokens(TOKENS, connection)
        self.audit = SqlAuditLog(connection)
