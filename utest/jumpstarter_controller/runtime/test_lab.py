"""The loop that changes the lab: all or nothing, stored before it shows, and none spoils another's change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from jumpstarter.common.enums import ExporterStatus
from jumpstarter.common.selectors import Selector
from jumpstarter_controller.model import (
    Age,
    AlreadyExists,
    AuditEntry,
    Client,
    Exporter,
    Lease,
    LeaseSpec,
    LeaseState,
    resolve_times,
)
from jumpstarter_controller.runtime import leasing
from jumpstarter_controller.runtime.draft import Draft, Records
from jumpstarter_controller.runtime.lab import Lab, LabClosed

pytestmark = pytest.mark.anyio

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Journal:
    """Keeps what was written, and fails where it is told to."""

    def __init__(self) -> None:
        self.records = Records()
        self.commits: list[Draft] = []
        self.broken_by: set[str] = set()
        self.held: asyncio.Event | None = None
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    async def load(self) -> Records:
        return self.records

    async def commit(self, draft: Draft) -> None:
        if self.held is not None:
            await self.held.wait()
        if self.broken_by & set(draft.leases.changed):
            raise OSError("no space left on device")
        self.commits.append(draft)

    async def lease(self, name: str) -> Lease | None:
        return None

    async def ended_leases(self, after: Age | None, limit: int) -> Sequence[Lease]:
        if self.meanwhile is not None:
            await self.meanwhile()
        return []

    async def audit(self, limit: int) -> Sequence[AuditEntry]:
        return []

    async def forget(self, before: datetime, now: datetime) -> int:
        return 0


def board(name: str, now: datetime) -> Exporter:
    return Exporter(
        name=name, uid=name, created_at=now, devices=(), status=ExporterStatus.AVAILABLE, last_seen=now
    )


@pytest.fixture
def journal() -> Journal:
    journal = Journal()
    now = datetime.now(UTC)
    journal.records.clients["alice"] = Client(name="alice", uid="alice", created_at=now)
    journal.records.exporters["board"] = board("board", now)
    return journal


@asynccontextmanager
async def running(journal: Journal, **more: Any) -> AsyncIterator[Lab]:
    """A lab whose board is connected."""
    async with Lab(journal, **more) as lab:
        lab.found("board")
        yield lab


def spec(seconds: float = 60) -> LeaseSpec:
    return LeaseSpec(
        times=resolve_times(None, timedelta(seconds=seconds), None), selector=Selector.parse("!none")
    )


def create(name: str, seconds: float = 60) -> Any:
    return lambda draft: leasing.create(draft, "alice", name, spec(seconds), 10, "test")


def waiting(name: str, now: datetime) -> Lease:
    return Lease(name=name, client="alice", created_at=now, spec=spec())


async def test_outcome_shows_when_it_is_stored_and_not_before(journal: Journal) -> None:
    async with running(journal) as lab:
        journal.held = asyncio.Event()
        change = asyncio.create_task(lab.change(create("one")))
        with lab.hub.watch("lease", "one") as watch:
            assert not await watch.changed(0.05)
            assert not lab.records.leases
            journal.held.set()
            await change
            assert await watch.changed(0)
        assert lab.records.leases["one"].state is LeaseState.READY
        assert lab.holder("board") == lab.records.leases["one"]


async def test_what_waits_goes_into_one_write(journal: Journal) -> None:
    async with running(journal) as lab:
        journal.held = asyncio.Event()
        first = asyncio.create_task(lab.change(create("first")))
        await asyncio.sleep(0)
        others = [asyncio.create_task(lab.change(create(f"lease-{n}"))) for n in range(20)]
        await asyncio.sleep(0)
        journal.held.set()
        await asyncio.gather(first, *others)
        assert len(journal.commits) <= 2
        assert len(lab.records.leases) == 21


async def test_refused_operation_leaves_nothing_and_harms_nobody(journal: Journal) -> None:
    def half(draft: Draft) -> None:
        draft.clients.put("bob", Client(name="bob", uid="b", created_at=draft.now))
        raise AlreadyExists("no")

    async with running(journal) as lab:
        outcomes = await asyncio.gather(
            lab.change(create("one")), lab.change(half), lab.change(create("one")), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes] == [type(None), AlreadyExists, AlreadyExists]
        assert set(lab.records.clients) == {"alice"}


async def test_write_that_fails_is_told_to_its_caller_only(journal: Journal) -> None:
    journal.broken_by = {"bad"}
    async with running(journal) as lab:
        outcomes = await asyncio.gather(
            *(lab.change(create(name)) for name in ("one", "bad", "two")), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes] == [type(None), OSError, type(None)]
        assert set(lab.records.leases) == {"one", "two"}
        assert set().union(*(commit.leases.changed for commit in journal.commits)) == {"one", "two"}


async def test_operation_that_breaks_the_scheduler_is_told_to_its_caller_only(journal: Journal) -> None:
    def break_it(draft: Draft) -> None:
        draft.leases.put("broken", "no lease")  # type: ignore[arg-type]

    async with running(journal) as lab:
        outcomes = await asyncio.gather(
            lab.change(break_it), lab.change(create("one")), return_exceptions=True
        )
        assert isinstance(outcomes[0], AttributeError)
        assert outcomes[1] is None
        assert set(lab.records.leases) == {"one"}


async def test_lease_ends_by_time_and_its_streams_are_cut(journal: Journal) -> None:
    cut: list[str] = []
    async with running(journal, on_cut=cut.append) as lab:
        with lab.hub.watch("lease", "short") as watch:
            await lab.change(create("short", 0.1))
            await lab.change(create("next"))
            while (lease := await lab.lease("short")) is None or not lease.ended:
                assert await watch.changed(60)
        assert cut == ["short"]
        assert lease.state is LeaseState.EXPIRED
        holder = lab.holder("board")
        assert holder is not None
        assert holder.name == "next"


async def test_transferred_lease_loses_the_streams_of_its_old_owner(journal: Journal) -> None:
    cut: list[str] = []
    journal.records.clients["bob"] = Client(name="bob", uid="bob", created_at=NOW)

    def transfer(draft: Draft) -> None:
        lease = draft.leases.get("one")
        assert lease is not None
        draft.leases.put("one", replace(lease, client="bob"))

    async with running(journal, on_cut=cut.append) as lab:
        await lab.change(create("one"))
        assert cut == []
        await lab.change(transfer)
        assert cut == ["one"]


async def test_heartbeats_are_written_when_the_lab_closes(journal: Journal) -> None:
    async with running(journal) as lab:
        before = lab.records.exporters["board"].last_seen
        assert lab.seen("board")
        assert not journal.commits
    (last,) = journal.commits
    written = last.exporters.changed["board"]
    assert written is not None
    assert written.last_seen is not None
    assert before is not None
    assert written.last_seen > before


async def test_exporter_that_was_silent_for_too_long_has_to_be_shown_again(journal: Journal) -> None:
    silent = board("board", datetime.now(UTC) - timedelta(hours=1))
    journal.records.exporters["board"] = silent
    async with running(journal) as lab:
        assert not lab.seen("board")
        assert lab.seen("board")
        assert lab.seen("deleted")


async def test_closed_lab_finishes_what_was_asked_and_refuses_the_rest(journal: Journal) -> None:
    lab = Lab(journal)
    async with lab:
        journal.held = asyncio.Event()
        change = asyncio.create_task(lab.change(create("one")))
        await asyncio.sleep(0)
        closing = asyncio.create_task(lab.close())
        await asyncio.sleep(0)
        with pytest.raises(LabClosed):
            await lab.change(create("two"))
        journal.held.set()
        await closing
        await change
        assert set(lab.records.leases) == {"one"}


async def test_lease_that_holds_a_board_is_known_after_a_start(journal: Journal) -> None:
    async with running(journal) as lab:
        await lab.change(create("one"))
        records = lab.records
    again = Journal()
    again.records = records
    async with running(again) as lab:
        holder = lab.holder("board")
        assert holder is not None
        assert holder.name == "one"


async def test_nothing_is_granted_after_a_start_before_the_board_is_back(journal: Journal) -> None:
    now = datetime.now(UTC)
    journal.records.leases["one"] = waiting("one", now)
    async with Lab(journal) as lab:
        await lab.change(create("two"))  # so it has decided
        assert lab.records.leases["one"].state is LeaseState.WAITING
        lab.found("board")
        await lab.change(lambda draft: None)
        assert lab.records.leases["one"].begun_at is not None
        assert not lab.records.leases["two"].begun_at


async def test_lease_with_a_claim_gets_nothing_after_a_start_before_its_client_is_back(
    journal: Journal,
) -> None:
    now = datetime.now(UTC)
    journal.records.leases["claimed"] = waiting("claimed", now).claimed("shell")
    async with running(journal) as lab:
        await lab.change(lambda draft: None)
        assert lab.records.leases["claimed"].state is LeaseState.WAITING
        lab.attended("claimed", True)
        await lab.change(lambda draft: None)
        assert lab.records.leases["claimed"].state is LeaseState.READY


async def test_lease_that_ends_while_ended_ones_are_read_is_listed(journal: Journal) -> None:
    async with running(journal) as lab:
        await lab.change(create("before"))

        async def end() -> None:
            await lab.change(create("during"))
            for name in ("before", "during"):
                await lab.change(lambda draft, name=name: leasing.release(draft, name, "test"))  # type: ignore[misc]

        journal.meanwhile = end
        assert {lease.name for lease in await lab.leases(ended=True)} == {"before", "during"}
