"""Progress of transfers: a bar on a terminal, lines elsewhere, logs on exporters; and bodies of aiohttp."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import pty
import subprocess
import sys
import termios
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from anyio import EndOfStream
from anyio.streams.stapled import StapledObjectStream
from jumpstarter.client.progress import Progress
from jumpstarter.streams import progress
from jumpstarter.streams.aiohttp import AiohttpStreamReaderStream
from jumpstarter.streams.common import create_memory_stream
from jumpstarter.streams.metadata import MetadataStream, MetadataStreamAttributes
from jumpstarter.streams.progress import ProgressAttribute, ProgressStream

MIB = 1 << 20


class Sized(StapledObjectStream[bytes]):
    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return {ProgressAttribute.total: lambda: 4 * MIB}


def transfer(**options: Any) -> None:
    async def scenario() -> None:
        near, far = create_memory_stream()
        stream = ProgressStream(stream=Sized(near, near), **options)
        assert stream.extra(ProgressAttribute.total) == 4 * MIB
        for _ in range(2):
            await stream.send(bytes(MIB))
            assert await far.receive() == bytes(MIB)
            await far.send(bytes(MIB))
            assert await stream.receive() == bytes(MIB)
        await stream.send_eof()
        with pytest.raises(EndOfStream):
            await far.receive()
        await stream.aclose()
        await far.aclose()

    asyncio.run(scenario())


def test_an_exporter_logs_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(progress, "_LOG_INTERVAL", 0.0)
    with caplog.at_level(logging.INFO, progress.__name__):
        transfer(logging=True)
    assert [r.getMessage() for r in caplog.records][:4] == [f"{n}.0 MiB of 4.0 MiB" for n in range(1, 5)]


def test_short_transfers_say_nothing(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    transfer()
    transfer(logging=True)
    assert capsys.readouterr() == ("", "")
    assert not [r for r in caplog.records if r.name == progress.__name__]


def test_without_a_terminal_there_are_lines_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("jumpstarter.common.progress.LINE_INTERVAL", 0.0)
    file = io.BytesIO()
    with Progress("image.bin", 4 * MIB) as bar:
        assert list(bar.over([bytes(MIB), bytes(MIB)])) == [bytes(MIB)] * 2
        bar.writer(file).write(bytes(2 * MIB))
    assert len(file.getvalue()) == 2 * MIB
    assert capsys.readouterr().err.splitlines() == [
        "image.bin: 1.0 MiB of 4.0 MiB (25 %)",
        "image.bin: 2.0 MiB of 4.0 MiB (50 %)",
        "image.bin: 4.0 MiB of 4.0 MiB (100 %)",
    ]
    with Progress("image.bin") as bar:
        bar.add(MIB)
    assert capsys.readouterr().err == "image.bin: 1.0 MiB\n"


def test_nothing_is_said_where_it_shall_be_quiet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("jumpstarter.common.progress.LINE_INTERVAL", 0.0)
    monkeypatch.setenv("JMP_QUIET", "1")
    with Progress("image.bin", 4 * MIB) as bar:
        bar.add(MIB)
    transfer()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("term", "quiet", "bar"), [("xterm", "", True), ("dumb", "", False), ("xterm", "1", False)]
)
def test_a_terminal_shows_a_bar_unless_it_is_dumb_or_shall_be_quiet(term: str, quiet: str, bar: bool) -> None:
    code = (
        "from jumpstarter.common.progress import Progress\n"
        "with Progress('image.bin', 100) as progress: progress.add(100)\n"
    )
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            stderr=theirs,
            env={**os.environ, "TERM": term, "JMP_QUIET": quiet},
            check=True,
            timeout=60,
        )
        os.write(theirs, b"\n")
        shown = os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.stdout == b""
    assert ("image.bin" in shown and "100%" in shown) is bar


def test_a_body_of_aiohttp_is_a_stream() -> None:
    class Reader:
        def __init__(self, *parts: bytes) -> None:
            self._parts = list(parts)

        async def readany(self) -> bytes:
            return self._parts.pop(0) if self._parts else b""

    async def scenario() -> list[bytes]:
        async with AiohttpStreamReaderStream(reader=Reader(b"one", b"two")) as stream:
            return [chunk async for chunk in stream]

    assert asyncio.run(scenario()) == [b"one", b"two"]


def test_a_stream_may_tell_about_itself() -> None:
    async def scenario() -> None:
        near, far = create_memory_stream()
        stream = MetadataStream(stream=near, metadata={"speed": "115200"})
        assert stream.extra(MetadataStreamAttributes.metadata) == {"speed": "115200"}
        await stream.send(b"x")
        assert await far.receive() == b"x"
        await far.send(b"y")
        assert await stream.receive() == b"y"
        await stream.send_eof()
        with pytest.raises(EndOfStream):
            await far.receive()
        await stream.aclose()
        await far.aclose()

    asyncio.run(scenario())
