from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from jumpstarter.common.enums import ExporterStatus
from jumpstarter.common.selectors import Selector
from jumpstarter_controller.model import (
    AlreadyExists,
    AuditEntry,
    Device,
    ExporterTaken,
    Lease,
    LeaseSpec,
    NotFound,
    Reason,
    Role,
    Token,
    resolve_times,
)
from jumpstarter_controller.store import Store, StoreClosed, StoreError, Transaction, open_store

from utest.jumpstarter_controller.labs import (
    HOUR,
    MINUTE,
    NOW,
    add_lease,
    client,
    exporter,
    lease,
    policy,
    rule,
    save_lease,
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "lab.sqlite")
    yield opened
    opened.close()


FULL = Lease(
    name="full",
    client="anna",
    created_at=NOW + timedelta(microseconds=1),
    spec=LeaseSpec(
        times=resolve_times(NOW, None, NOW + HOUR),
        selector=Selector.parse("a=b,c in (d,e),!f"),
        exporter_name="board",
        tags={"team": "ä"},
        context={"why": "nächtlich"},
        allow_disabled=True,
    ),
)

RECORDS: dict[str, list[Any]] = {
    "leases": [
        lease("plain", selector="a=b"),
        FULL,
        FULL.waiting(NOW, Reason.OFFLINE, "none is online"),
        FULL.granted(NOW, "board", -3, True).warned(NOW + MINUTE),
        FULL.granted(NOW, "board", 3, False).released(NOW + HOUR),
        FULL.refused(NOW, Reason.NO_ACCESS, "nobody may"),
    ],
    "exporters": [
        exporter("plain", devices=None, last_seen=None),
        exporter(
            "full",
            {"a": "b", "empty": ""},
            username="dex:board",
            enabled=False,
            devices=(Device("u1", None, {"x": "y"}), Device("u2", "u1")),
            status=ExporterStatus.AFTER_LEASE_HOOK_FAILED,
            status_message="hook failed\nbadly",
        ),
    ],
    "clients": [client("plain"), replace(client("full", team="a"), username="dex:anna")],
    "policies": [
        policy("plain"),
        policy(
            "full",
            "kind=x",
            rule("team=a", priority=-1, maximum_duration=HOUR / 7, spot_access=True, description="d"),
            rule("!team"),
        ),
    ],
    "tokens": [
        Token(id="1", role=Role.CLIENT, owner="anna", issued_at=NOW, expires_at=NOW + HOUR),
        Token(id="2", role=Role.EXPORTER, owner="b", issued_at=NOW, expires_at=NOW, revoked_at=NOW),
    ],
}


@pytest.mark.parametrize(
    ("table", "record"), [(table, record) for table, records in RECORDS.items() for record in records]
)
def test_what_is_written_is_read_again(tmp_path: Path, table: Any, record: Any) -> None:
    key = getattr(record, "name", None) or record.id
    store = open_store(tmp_path / "lab.sqlite")
    store.change(lambda transaction: getattr(transaction, table).add(record))
    assert store.read(lambda transaction: getattr(transaction, table).get(key)) == record
    store.close()
    store = open_store(tmp_path / "lab.sqlite")
    assert store.read(lambda transaction: getattr(transaction, table).get(key)) == record
    assert list(store.read(lambda transaction: getattr(transaction, table).all())) == [record]
    store.close()


@pytest.mark.parametrize("table", RECORDS)
def test_a_name_is_taken_once_and_only_what_exists_is_saved(store: Store, table: Any) -> None:
    record = RECORDS[table][0]
    word = {"policies": "policy"}.get(table, table[:-1])

    def call(method: str) -> None:
        store.change(lambda transaction: getattr(getattr(transaction, table), method)(record))

    with pytest.raises(NotFound, match=f"there is no {word} "):
        call("save")
    call("add")
    call("save")
    with pytest.raises(AlreadyExists, match=rf"{word} .* (exists already|is taken)"):
        call("add")


def test_a_uid_is_taken_once(store: Store) -> None:
    store.change(lambda transaction: transaction.clients.add(client("anna")))
    with pytest.raises(AlreadyExists, match="client bert: uid uid-anna is taken"):
        store.change(lambda transaction: transaction.clients.add(replace(client("bert"), uid="uid-anna")))


def test_leases_stay_when_their_exporter_is_deleted(store: Store) -> None:
    held = lease("l", pin="board").granted(NOW, "board", 0, False)

    def work(transaction: Transaction) -> None:
        transaction.exporters.add(exporter("board"))
        transaction.leases.add(held)

    store.change(work)
    assert store.change(lambda transaction: transaction.exporters.delete("board"))
    assert not store.change(lambda transaction: transaction.exporters.delete("board"))
    assert store.read(lambda transaction: transaction.leases.active()) == [held]


def test_work_that_raises_does_nothing(store: Store) -> None:
    def work(transaction: Transaction) -> None:
        transaction.leases.add(lease("a", pin="b"))
        transaction.clients.add(client("anna"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.change(work)
    assert store.read(lambda t: (list(t.leases.active()), list(t.clients.all()))) == ([], [])


def test_a_refused_record_does_not_undo_what_went_before_in_the_same_work(store: Store) -> None:
    def work(transaction: Transaction) -> None:
        transaction.leases.add(lease("a", pin="b"))
        with pytest.raises(AlreadyExists):
            transaction.leases.add(lease("a", pin="c"))
        transaction.leases.add(lease("d", pin="b"))

    store.change(work)
    assert [x.name for x in store.read(lambda t: t.leases.page())] == ["a", "d"]


def test_work_that_waits_together_succeeds_and_fails_one_by_one(store: Store) -> None:
    """Everything that is submitted while the writer is busy goes into one commit."""
    entered, go = threading.Event(), threading.Event()

    def block(transaction: Transaction) -> None:
        entered.set()
        assert go.wait(30)

    def fail(transaction: Transaction) -> None:
        transaction.leases.add(lease("lost", pin="b"))
        raise ZeroDivisionError

    def count(transaction: Transaction) -> int:
        return len(transaction.leases.active())

    futures: list[Future[Any]] = [store.submit(block)]
    assert entered.wait(30)
    futures += [store.submit(work) for work in (add_lease(lease("a", pin="b")), fail, count)]
    futures += [store.submit(work) for work in (add_lease(lease("c", pin="b")), count)]
    cancelled = store.submit(add_lease(lease("never", pin="b")))
    assert cancelled.cancel()
    go.set()
    assert isinstance(futures[2].exception(30), ZeroDivisionError)
    assert [future.result(30) for future in (*futures[:2], *futures[3:])] == [None, None, 1, None, 2]
    assert [x.name for x in store.read(lambda t: t.leases.active())] == ["a", "c"]


def test_concurrent_grants_of_one_exporter_have_one_winner(store: Store) -> None:
    for number in range(16):
        store.change(add_lease(lease(f"l{number:02}", pin="board")))
    start = threading.Barrier(16)

    def grant(number: int) -> str | None:
        start.wait(30)
        try:
            store.change(save_lease(lease(f"l{number:02}", pin="board").granted(NOW, "board", 0, False)))
        except ExporterTaken as refused:
            assert "another lease holds it" in str(refused)
            return None
        return f"l{number:02}"

    with ThreadPoolExecutor(16) as threads:
        winners = [name for name in threads.map(grant, range(16)) if name]
    assert len(winners) == 1
    holders = [x.name for x in store.read(lambda t: t.leases.active()) if x.exporter == "board"]
    assert holders == winners


def test_an_exporter_is_free_again_when_its_lease_is_over(store: Store) -> None:
    first = lease("a", pin="board").granted(NOW, "board", 0, False)
    second = lease("b", pin="board").granted(NOW, "board", 0, False)
    store.change(add_lease(first))
    with pytest.raises(ExporterTaken, match="lease b cannot have exporter board"):
        store.change(add_lease(second))

    def hand_over(transaction: Transaction) -> None:
        transaction.leases.save(first.released(NOW))
        transaction.leases.add(second)

    store.change(hand_over)
    assert store.read(lambda t: t.leases.active()) == [second]


def test_of_several_records_all_are_written_or_none(store: Store) -> None:
    held, other, third = (lease(name, pin="board") for name in ("held", "other", "third"))
    store.change(lambda transaction: transaction.leases.add(held.granted(NOW, "board", 0, False), other))

    def refused(error: type[Exception], words: str, work: Any) -> None:
        with pytest.raises(error, match=words):
            store.change(work)
        assert {x.name for x in store.read(lambda t: t.leases.active())} == {"held", "other"}
        assert [x for x in store.read(lambda t: t.leases.active()) if x.exporter] == [
            held.granted(NOW, "board", 0, False)
        ]

    refused(AlreadyExists, "lease third or other exists already", lambda t: t.leases.add(third, other))
    refused(NotFound, "no lease other or third", lambda t: t.leases.save(other, third))
    second = other.granted(NOW, "board", 0, False)
    refused(
        ExporterTaken,
        "another lease holds it",
        lambda t: t.leases.save(held.granted(NOW, "board", 0, False), second),
    )
    # In their order: the one that lets the exporter go before the one that takes it.
    store.change(lambda transaction: transaction.leases.save(held.released(NOW), second))
    assert store.read(lambda t: t.leases.active()) == [second]


def test_leases_are_listed_page_by_page_and_the_active_ones_by_age(store: Store) -> None:
    def work(transaction: Transaction) -> None:
        for number in range(10):
            each = lease(f"l{number}", pin="b", age=number * MINUTE)
            transaction.leases.add(each.released(NOW) if number % 2 else each)

    store.change(work)

    def names(**kw: Any) -> list[str]:
        return [x.name for x in store.read(lambda t: t.leases.page(**kw))]

    assert names(limit=4) == ["l0", "l1", "l2", "l3"]
    assert names(after="l7", limit=4) == ["l8", "l9"]
    assert names(after="l1", limit=2, active_only=True) == ["l2", "l4"]
    assert [x.name for x in store.read(lambda t: t.leases.active())] == ["l8", "l6", "l4", "l2", "l0"]


def test_ended_leases_expired_tokens_and_old_entries_are_forgotten_after_their_time(store: Store) -> None:
    def work(transaction: Transaction) -> None:
        transaction.leases.add(lease("old", pin="b").released(NOW))
        transaction.leases.add(lease("new", pin="b").released(NOW + HOUR))
        transaction.leases.add(lease("active", pin="b", age=100 * HOUR))
        for token in RECORDS["tokens"]:
            transaction.tokens.add(token)
        for at in (NOW, NOW + HOUR):
            transaction.audit.append(AuditEntry(at=at, actor="a", action="x", subject="s"))

    store.change(work)
    before = NOW + MINUTE
    assert store.change(
        lambda t: (t.leases.purge(before), t.tokens.purge(before), t.audit.purge(before))
    ) == (
        1,
        1,
        1,
    )
    assert [x.name for x in store.read(lambda t: t.leases.page())] == ["active", "new"]
    assert [x.id for x in store.read(lambda t: t.tokens.all())] == ["1"]
    assert [x.at for x in store.read(lambda t: t.audit.latest())] == [NOW + HOUR]


def test_the_audit_log_gives_the_latest_first(store: Store) -> None:
    entries = [
        AuditEntry(at=NOW, actor="anna", action="lease.create", subject=f"lease/{n % 2}", detail=str(n))
        for n in range(5)
    ]

    def work(transaction: Transaction) -> None:
        for entry in entries:
            transaction.audit.append(entry)

    store.change(work)
    assert store.read(lambda t: t.audit.latest(2)) == [entries[4], entries[3]]
    assert store.read(lambda t: t.audit.latest(subject="lease/1")) == [entries[3], entries[1]]


def test_a_reader_sees_one_state_while_others_write(store: Store) -> None:
    read_once, written = threading.Event(), threading.Event()

    def look(transaction: Transaction) -> tuple[int, int]:
        first = len(transaction.leases.active())
        read_once.set()
        assert written.wait(30)
        return first, len(transaction.leases.active())

    with ThreadPoolExecutor(1) as thread:
        reading = thread.submit(store.read, look)
        assert read_once.wait(30)
        store.change(add_lease(lease("a", pin="b")))
        written.set()
        assert reading.result(30) == (0, 0)
    assert store.read(lambda t: len(t.leases.active())) == 1


def test_reading_changes_nothing(store: Store) -> None:
    with pytest.raises(StoreError, match=r"cannot read the store .*: attempt to write a readonly database"):
        store.read(add_lease(lease("a", pin="b")))


def test_work_that_uses_the_store_inside_is_told(store: Store) -> None:
    with pytest.raises(RuntimeError, match="use the transaction that it was given"):
        store.change(lambda transaction: store.change(lambda inner: None))


def test_a_closed_store_finishes_what_was_submitted_and_takes_no_more(tmp_path: Path) -> None:
    store = open_store(tmp_path / "lab.sqlite")
    futures = [store.submit(add_lease(lease(f"l{n}", pin="b"))) for n in range(20)]
    store.close()
    assert [future.result(0) for future in futures] == [None] * 20
    with pytest.raises(StoreClosed):
        store.change(lambda transaction: None)
    with pytest.raises(StoreClosed):
        store.read(lambda transaction: None)
    store.close()


def test_errors_of_the_database_are_one_line_and_reach_everyone_who_waits(tmp_path: Path) -> None:
    store = open_store(tmp_path / "lab.sqlite")
    store.change(add_lease(lease("a", pin="b")))

    def damage(transaction: Transaction) -> None:
        transaction.leases._connection.exec_driver_sql("SELECT * FROM nowhere")  # type: ignore[attr-defined]

    with pytest.raises(
        StoreError, match=r"^cannot write the store .*: no such table: nowhere; nothing was changed$"
    ):
        store.change(damage)
    assert store.read(lambda t: len(t.leases.active())) == 1
    store.close()


def test_a_full_disk_refuses_the_write_and_keeps_the_rest(tmp_path: Path) -> None:
    store = open_store(tmp_path / "lab.sqlite")
    store.change(add_lease(lease("before", pin="b")))

    def pragma(text: str) -> Callable[[Transaction], object]:
        return lambda t: t.leases._connection.exec_driver_sql(text).scalar()  # type: ignore[attr-defined]

    pages = store.change(pragma("PRAGMA page_count"))
    store.change(pragma(f"PRAGMA max_page_count = {pages}"))

    def much(transaction: Transaction) -> None:
        for number in range(2000):
            transaction.audit.append(
                AuditEntry(at=NOW, actor="a", action="x", subject=str(number), detail="x" * 500)
            )

    with pytest.raises(StoreError, match="database or disk is full; nothing was changed"):
        store.change(much)
    store.change(pragma("PRAGMA max_page_count = 1000000"))
    store.change(much)
    assert [x.name for x in store.read(lambda t: t.leases.active())] == ["before"]
    store.close()


def test_work_that_loses_the_transaction_fails_with_all_that_share_it_and_the_store_goes_on(
    tmp_path: Path,
) -> None:
    store = open_store(tmp_path / "lab.sqlite")
    entered, go = threading.Event(), threading.Event()

    def block(transaction: Transaction) -> None:
        entered.set()
        assert go.wait(30)

    def lose(transaction: Transaction) -> None:
        transaction.leases._connection.exec_driver_sql("ROLLBACK")  # type: ignore[attr-defined]
        raise ZeroDivisionError("lost")

    store.submit(block)
    assert entered.wait(30)
    futures = [store.submit(work) for work in (add_lease(lease("a", pin="b")), lose, lambda t: None)]
    # The blocking work is alone in its commit: the others wait together for the next one.
    go.set()
    assert [type(future.exception(30)) for future in futures] == [StoreError] * 3
    store.change(add_lease(lease("c", pin="b")))
    assert [x.name for x in store.read(lambda t: t.leases.active())] == ["c"]
    store.close()


def test_ended_leases_are_read_by_age_a_page_at_a_time(store: Store) -> None:
    def work(transaction: Transaction) -> None:
        # "z" is the oldest; "a" and "b" are of one moment.
        for name, age in (("z", 3), ("b", 2), ("a", 2), ("c", 1)):
            transaction.leases.add(lease(name, pin="b", age=age * MINUTE).released(NOW))
        transaction.leases.add(lease("active", pin="b", age=2 * MINUTE))

    store.change(work)
    first = store.read(lambda t: t.leases.ended(limit=2))
    second = store.read(lambda t: t.leases.ended(after=first[-1].age, limit=3))
    found = [*first, *second]
    assert [each.name for each in found] == ["z", "a", "b", "c"]


def test_page_of_ended_leases_is_found_by_its_index(store: Store) -> None:
    from jumpstarter_controller.store import tables

    plan = "EXPLAIN QUERY PLAN " + str(tables._ENDED_PAGE)
    values = {"since": 1, "after": "a", "most": 10}

    def explain(transaction: Any) -> str:
        rows = transaction.leases._connection.exec_driver_sql(plan, values).all()
        return " ".join(str(row) for row in rows)

    told = store.read(explain)
    assert "leases_ended_by_age" in told and "TEMP B-TREE" not in told
