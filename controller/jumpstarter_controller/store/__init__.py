"""The lab's state, kept: leases, exporters, clients, policies, tokens and the audit log.

`interface` is what services see; `open_store` gives the one that a lab of one machine needs, in one SQLite file.
"""

from __future__ import annotations

from pathlib import Path

from .interface import AuditLog, LeaseTable, Store, StoreClosed, StoreError, Table, TokenTable, Transaction

__all__ = [
    "AuditLog",
    "LeaseTable",
    "Store",
    "StoreClosed",
    "StoreError",
    "Table",
    "TokenTable",
    "Transaction",
    "open_store",
]


def open_store(path: Path, *, durable: bool = True) -> Store:
    """The store in the SQLite file *path*, made and brought to the present schema where necessary.

    Args:
        durable: whether changes outlast a power cut when they return; without, they outlast only the process.

    Raises:
        ConfigurationError: the extra ``controller`` is not installed.
        StoreError: another process has it open, a newer version wrote it, or it cannot be read or written.
    """
    try:
        from .sqlite import SqliteStore
    except ModuleNotFoundError as error:
        from jumpstarter.common.exceptions import ConfigurationError

        raise ConfigurationError(
            f"the controller needs {error.name}, which is not installed; "
            "pip install 'robotframework-jumpstarter[controller]'"
        ) from error
    return SqliteStore(path, durable=durable)
