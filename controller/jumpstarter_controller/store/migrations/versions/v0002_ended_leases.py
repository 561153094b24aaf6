"""Ended leases by age: a page of them costs a page."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """From 0001."""
    op.create_index(
        "leases_ended_by_age",
        "leases",
        ["created_at", "name"],
        sqlite_where=sa.text("ended_at IS NOT NULL"),
    )
