"""The lab's loop over a store: what is written, and when there is nothing to write."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from jumpstarter.common.enums import ExporterStatus
from jumpstarter_controller.runtime.draft import Draft, Records
from jumpstarter_controller.runtime.journal import open_journal
from jumpstarter_controller.store.interface import StoreClosed

from utest.jumpstarter_controller.labs import NOW, client, exporter

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def changed(records: Records) -> Draft:
    """A draft with an exporter that was heard of, and nothing else."""
    draft = Draft(records, NOW)
    board = records.exporters["board"]
    draft.exporters.put("board", replace(board, last_seen=NOW + timedelta(seconds=1), lost_at=None))
    return draft


async def test_disk_is_not_waited_for_where_there_is_nothing_to_write(tmp_path: Path) -> None:
    records = Records(exporters={"board": exporter("board")})
    async with open_journal(tmp_path / "lab.sqlite") as journal:
        pass
    # A closed store writes nothing.
    await journal.commit(changed(records))
    reported = changed(records)
    reported.exporters.put("board", replace(records.exporters["board"], status=ExporterStatus.LEASE_READY))
    noted = changed(records)
    noted.note("anna", "did", "something")
    seen = changed(records)
    seen.writes_seen = True
    added = changed(records)
    added.clients.put("anna", client("anna"))
    for draft in (reported, noted, seen, added):
        with pytest.raises(StoreClosed):
            await journal.commit(draft)


async def test_all_of_a_draft_is_read_again(tmp_path: Path) -> None:
    draft = Draft(Records(), NOW)
    for name in ("one", "two", "three"):
        draft.clients.put(name, client(name))
        draft.exporters.put(name, exporter(name))
        draft.note("anna", "made", name)
    async with open_journal(tmp_path / "lab.sqlite") as journal:
        await journal.commit(draft)
        loaded = await journal.load()
        again = Draft(loaded, NOW)
        again.clients.put("one", replace(loaded.clients["one"], labels={"a": "b"}))
        again.clients.delete("two")
        again.clients.put("four", client("four"))
        await journal.commit(again)
        assert [entry.subject for entry in await journal.audit(10)] == ["three", "two", "one"]
    async with open_journal(tmp_path / "lab.sqlite") as journal:
        kept = await journal.load()
        assert set(kept.clients) == {"one", "three", "four"}
        assert kept.clients["one"].labels == {"a": "b"}
        assert set(kept.exporters) == {"one", "two", "three"}
