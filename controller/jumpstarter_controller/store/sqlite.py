"""The store in one SQLite file, for a lab of one machine.

The write-ahead log lets readers go on while something is written. ``synchronous=FULL`` makes a commit wait until the log is
on the disk: https://www.sqlite.org/pragma.html#pragma_synchronous.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy import Transaction as Part
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool

from .interface import StoreClosed, StoreError, Transaction
from .migrations import migrate
from .tables import SqlTransaction
from .writer import Job, Writer

T = TypeVar("T")

logger = logging.getLogger(__name__)

#: Milliseconds to wait for another program that has the file open, such as a backup.
_BUSY_TIMEOUT = 10_000


class SqliteStore:
    """A `jumpstarter_controller.store.Store`; see `jumpstarter_controller.store.open_store`."""

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        self._path = path
        self._closed = False
        self._lock = _lock(path)
        self._writing = _engine(path, "BEGIN IMMEDIATE", durable=durable)
        self._reading = _engine(path, "BEGIN", durable=durable, read_only=True)
        try:
            with self._errors("open"), self._writing.begin() as connection:
                migrate(connection)
            self._connection = self._writing.connect()
        except BaseException:
            self._let_go()
            raise
        self._writer = Writer(self._run_batch)

    def read(self, work: Callable[[Transaction], T]) -> T:
        if self._closed:
            raise StoreClosed("the store is closed")
        with self._errors("read"), self._reading.begin() as connection:
            return work(SqlTransaction(connection))

    def change(self, work: Callable[[Transaction], T]) -> T:
        return self.submit(work).result()

    def submit(self, work: Callable[[Transaction], T]) -> Future[T]:
        if self._writer.is_current():
            raise RuntimeError("work of the store changes the store: use the transaction that it was given")
        return self._writer.submit(work)

    def close(self) -> None:
        if not self._closed:
            self._writer.close()
            self._closed = True
            self._connection.close()
            self._let_go()

    def _let_go(self) -> None:
        self._reading.dispose()
        self._writing.dispose()
        self._lock.close()

    def _run_batch(self, jobs: Sequence[Job[Any]]) -> None:
        """All jobs in one commit, several each in a savepoint of its own; then tell those who wait."""
        jobs = [job for job in jobs if job.future.set_running_or_notify_cancel()]
        outcomes: list[_Outcome] = []
        try:
            with self._errors("write"), self._connection.begin() as whole:
                if len(jobs) == 1:
                    outcomes = [self._run(jobs[0], whole)]
                else:
                    outcomes = [self._run_apart(job) for job in jobs]
        except Exception as error:
            # Whatever it is, those who wait have to be told, and the next batch has to be tried.
            logger.error("%s", error, exc_info=not isinstance(error, StoreError))
            message = str(error)
            if not isinstance(error, StoreError):
                message = f"cannot write the store {self._path}: {type(error).__name__}; nothing was changed"
            outcomes = [_Outcome(error=StoreError(message)) for _ in jobs]
        for job, outcome in zip(jobs, outcomes, strict=True):
            if outcome.error is not None:
                job.future.set_exception(outcome.error)
            else:
                job.future.set_result(outcome.result)

    def _run_apart(self, job: Job[Any]) -> _Outcome:
        """Run one of several, which must not undo the others."""
        savepoint = self._connection.begin_nested()
        outcome = self._run(job, savepoint)
        if outcome.error is None:
            savepoint.commit()
        return outcome

    def _run(self, job: Job[Any], part: Part) -> _Outcome:
        """Run *job*; what it raises undoes *part* of the commit."""
        try:
            with self._errors("write"):
                result = job.work(SqlTransaction(self._connection))
        except BaseException as error:
            if not self._in_transaction():
                # A full disk undoes the savepoints of all, not only of the work that met it.
                raise
            part.rollback()
            return _Outcome(error=error)
        return _Outcome(result)

    def _in_transaction(self) -> bool:
        connection = self._connection.connection.dbapi_connection
        return isinstance(connection, sqlite3.Connection) and connection.in_transaction

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        """Errors of the database as one line of ours."""
        try:
            yield
        except SQLAlchemyError as error:
            raise StoreError(
                f"cannot {doing} the store {self._path}: {getattr(error, 'orig', error)}; nothing was changed"
            ) from None
        except CommandError as error:
            raise StoreError(
                f"cannot open the store {self._path}: it was written by a newer version ({error}); "
                "install that version or restore a copy made before"
            ) from None


@dataclass(frozen=True)
class _Outcome:
    """What became of a piece of work; told when the commit is done."""

    result: Any = None
    error: BaseException | None = None


def _lock(path: Path) -> IO[bytes]:
    """Keep other controllers away from the file, which only its owner may read."""
    held: IO[bytes] | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        held = open(os.open(f"{path}.lock", os.O_CREAT | os.O_RDWR, 0o600), "r+b")  # noqa: SIM115 - kept open
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if held is not None:
            held.close()
        raise StoreError(
            f"the store {path} is in use by another process; stop it, or give this one another data directory"
        ) from None
    except OSError as error:
        raise StoreError(f"cannot open the store {path}: {error.strerror}") from error
    return held


def _engine(path: Path, begin: str, *, durable: bool, read_only: bool = False) -> Engine:
    """Connections whose transactions begin with *begin*.

    The sqlite3 module is kept from beginning transactions by itself: it does not know savepoints and begins late.
    """
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=QueuePool,
        connect_args={"check_same_thread": False, "timeout": _BUSY_TIMEOUT / 1000},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'OFF'}")
        # Without, macOS leaves what was written in the memory of the disk.
        connection.execute(f"PRAGMA fullfsync={'ON' if durable else 'OFF'}")
        if read_only:
            connection.execute("PRAGMA query_only=ON")

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine
