"""The tables, as the last of the migrations leaves them. A test compares the two."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text, text

metadata = MetaData()

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("client", Text, nullable=False),
    Column("exporter", Text),
    Column("state", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("body", Text, nullable=False),
)
# This is what makes two holders of one exporter impossible, whatever the code above it does.
Index(
    "leases_one_holder",
    leases.c.exporter,
    unique=True,
    sqlite_where=text("state = 'ready'"),
    postgresql_where=text("state = 'ready'"),
)
Index("leases_active", leases.c.created_at, sqlite_where=text("ended_at IS NULL"))
Index("leases_ended", leases.c.ended_at)
Index("leases_ended_by_age", leases.c.created_at, leases.c.name, sqlite_where=text("ended_at IS NOT NULL"))

exporters = Table(
    "exporters",
    metadata,
    Column("name", Text, primary_key=True),
    Column("uid", Text, nullable=False),
    Column("body", Text, nullable=False),
)
Index("exporters_uid", exporters.c.uid, unique=True)

clients = Table(
    "clients",
    metadata,
    Column("name", Text, primary_key=True),
    Column("uid", Text, nullable=False),
    Column("body", Text, nullable=False),
)
Index("clients_uid", clients.c.uid, unique=True)

policies = Table(
    "policies",
    metadata,
    Column("name", Text, primary_key=True),
    Column("body", Text, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("issued_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)
Index("tokens_owner", tokens.c.role, tokens.c.owner)

audit = Table(
    "audit",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
)
Index("audit_at", audit.c.at)
Index("audit_subject", audit.c.subject)
