"""Storage devices: waiting for them, writing and reading, never on the loop."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from jumpstarter.common.storage import (
    read_from_storage_device,
    wait_for_storage_device,
    write_to_storage_device,
)

DATA = os.urandom(3_000_000)


async def chunks(data: bytes, size: int = 1 << 20) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


class Sink:
    def __init__(self) -> None:
        self.data = b""

    async def send(self, item: bytes) -> None:
        self.data += item


def test_data_is_written_and_read_back(tmp_path: Path) -> None:
    device = tmp_path / "sda"
    device.write_bytes(bytes(len(DATA)))

    async def scenario() -> bytes:
        await write_to_storage_device(device, chunks(DATA), leeway=0)
        sink = Sink()
        await read_from_storage_device(str(device), sink)
        return sink.data

    assert asyncio.run(scenario()) == DATA


def test_writing_begins_at_the_start_and_keeps_what_is_behind(tmp_path: Path) -> None:
    device = tmp_path / "sda"
    device.write_bytes(b"old old old")
    asyncio.run(write_to_storage_device(device, chunks(b"new"), leeway=0))
    assert device.read_bytes() == b"new old old"


def test_a_device_that_appears_later_is_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    device = tmp_path / "sda"

    async def scenario() -> None:
        waiting = asyncio.create_task(
            wait_for_storage_device(device, os.O_RDONLY, 60, logger=logging.getLogger("test.storage"))
        )
        await asyncio.sleep(0.05)
        assert not waiting.done()
        device.write_bytes(b"x")
        await waiting

    with caplog.at_level(logging.INFO, "test.storage"):
        asyncio.run(scenario())
    assert [r.getMessage() for r in caplog.records if r.name == "test.storage"] == [
        f"waiting for {device}: No such file or directory"
    ]


def test_a_device_that_never_appears_is_told_with_the_reason(tmp_path: Path) -> None:
    device = tmp_path / "sda"
    with pytest.raises(TimeoutError, match=r"sda is not ready after 0.1 s: No such file or directory; check"):
        asyncio.run(wait_for_storage_device(device, os.O_RDONLY, 0.1))
    with pytest.raises(TimeoutError, match="Is a directory"):
        asyncio.run(write_to_storage_device(tmp_path, chunks(b"x"), 0.1))


def test_a_device_that_is_full_is_an_error() -> None:
    full = Path("/dev/full")
    if not full.exists() or not stat.S_ISCHR(full.stat().st_mode):
        pytest.skip("no /dev/full on this system")
    with pytest.raises(OSError, match="No space left on device"):
        asyncio.run(write_to_storage_device(full, chunks(DATA), leeway=0))


def test_a_source_that_fails_fails_the_write(tmp_path: Path) -> None:
    device = tmp_path / "sda"
    device.write_bytes(b"")

    async def failing() -> AsyncIterator[bytes]:
        yield b"part"
        raise ValueError("cut")

    with pytest.raises(ValueError, match="cut"):
        asyncio.run(write_to_storage_device(device, failing(), leeway=0))


def test_the_loop_runs_on_while_the_device_syncs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = tmp_path / "sda"
    device.write_bytes(b"")
    release, syncing = threading.Event(), threading.Event()

    def slow_sync(file: int) -> None:
        syncing.set()
        assert release.wait(60)

    monkeypatch.setattr(os, "fsync", slow_sync)

    async def scenario() -> None:
        writing = asyncio.create_task(write_to_storage_device(device, chunks(DATA), leeway=0))
        assert await asyncio.to_thread(syncing.wait, 60)
        assert not writing.done()
        release.set()
        await writing

    asyncio.run(scenario())


def test_a_sync_that_takes_too_long_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = tmp_path / "sda"
    device.write_bytes(b"")
    release = threading.Event()
    monkeypatch.setattr(os, "fsync", lambda file: release.wait(60))

    async def scenario() -> None:
        try:
            await write_to_storage_device(device, chunks(b"x"), fsync_timeout=0.1, leeway=0)
        finally:
            release.set()

    with pytest.raises(TimeoutError, match=r"sda was not synced within 0.1 s"):
        asyncio.run(scenario())


def test_progress_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    device = tmp_path / "sda"
    device.write_bytes(b"")
    logger = logging.getLogger("test.storage")
    with caplog.at_level(logging.INFO, "test.storage"):
        asyncio.run(
            write_to_storage_device(device, chunks(bytes(65 << 20), 13 << 20), leeway=0, logger=logger)
        )
    assert [r.getMessage() for r in caplog.records if r.name == "test.storage"] == [f"65 MiB to {device}"]
