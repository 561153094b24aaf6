from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from jumpstarter_controller.store import StoreError, open_store
from jumpstarter_controller.store.migrations import migrate
from jumpstarter_controller.store.schema import metadata
from sqlalchemy import Connection, create_engine, pool, text

from utest.jumpstarter_controller.labs import add_lease, lease


def test_migrations_lead_from_an_empty_file_to_the_tables_that_the_program_uses(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'lab.sqlite'}", poolclass=pool.NullPool)
    with engine.begin() as connection:
        migrate(connection)
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        indexes = _indexes(connection)
    assert "UNIQUE" in indexes["leases_one_holder"] and "state = 'ready'" in indexes["leases_one_holder"]
    made = create_engine(f"sqlite:///{tmp_path / 'made.sqlite'}", poolclass=pool.NullPool)
    with made.begin() as connection:
        metadata.create_all(connection)
        assert indexes == _indexes(connection)


def _indexes(connection: Connection) -> dict[str, str]:
    rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql LIKE '%INDEX%'"))
    return {row.name: row.sql for row in rows}


def test_a_store_is_opened_again_with_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "with % and space" / "lab.sqlite"
    for number in range(3):
        store = open_store(path)
        store.change(add_lease(lease(f"l{number}", pin="b")))
        assert len(store.read(lambda t: t.leases.active())) == number + 1
        store.close()


def test_the_store_is_for_its_owner_alone(tmp_path: Path) -> None:
    store = open_store(tmp_path / "lab.sqlite")
    store.change(add_lease(lease("a", pin="b")))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    store.close()
    assert set(modes) >= {"lab.sqlite", "lab.sqlite-wal", "lab.sqlite.lock"}
    assert set(modes.values()) == {0o600}


def test_the_log_is_written_ahead_and_waits_for_the_disk(tmp_path: Path) -> None:
    def pragmas(durable: bool) -> list[object]:
        store = open_store(tmp_path / f"{durable}.sqlite", durable=durable)

        def ask(transaction: Any) -> list[object]:
            connection = transaction.leases._connection
            return [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous")
            ]

        found = store.change(ask)
        store.close()
        return found

    assert pragmas(True) == ["wal", 2]
    assert pragmas(False) == ["wal", 0]


def test_two_processes_cannot_have_one_store(tmp_path: Path) -> None:
    path = tmp_path / "lab.sqlite"
    store = open_store(path)
    with pytest.raises(StoreError, match=r"lab\.sqlite is in use by another process; stop it"):
        open_store(path)
    store.close()
    open_store(path).close()


def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "lab.sqlite"
    open_store(path).close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="written by a newer version") as refused:
        open_store(path)
    assert "\n" not in str(refused.value)
    with pytest.raises(StoreError, match="written by a newer version"):
        open_store(path)  # the first attempt has let go of it


def test_what_is_no_store_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "lab.sqlite"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError, match=r"cannot open the store .*: file is not a database") as refused:
        open_store(path)
    assert "\n" not in str(refused.value)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot open the store"):
        open_store(tmp_path / "file" / "lab.sqlite")


def test_the_interface_imports_neither_sql_nor_services() -> None:
    code = (
        "import sys, jumpstarter_controller.store, jumpstarter_controller.scheduling; "
        "print([m for m in sys.modules if m.split('.')[0] in ('sqlalchemy', 'alembic', 'grpc', 'sqlite3')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_migrations_are_where_the_installed_package_is() -> None:
    import jumpstarter_controller.store.migrations as package

    folder = Path(package.__file__).parent
    assert (folder / "env.py").is_file() and list((folder / "versions").glob("v0001_*.py"))
