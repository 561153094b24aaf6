"""`j` commands that end in the middle of a transfer, however they move their data."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .conftest import Cli, Running

DRIVER = """
import asyncio, os, signal, sys, time
from dataclasses import dataclass
import anyio, click
from anyio import EndOfStream
from anyio.abc import ObjectStream
from jumpstarter.client import DriverClient
from jumpstarter.driver import Driver, export

@dataclass(kw_only=True)
class Mover(Driver):
    @classmethod
    def client(cls): return "mover.MoverClient"
    @export
    def read(self, handle):
        with self.resource_blocking(handle) as stream:
            for chunk in stream:
                pass

class Endless(ObjectStream[bytes]):
    told = False
    async def receive(self):
        if not self.told:
            self.told = True
            click.echo("moving", err=True)
        await asyncio.sleep(0.001)
        return b"x" * 1000
    async def send(self, item): pass
    async def send_eof(self): pass
    async def aclose(self): pass

@dataclass(kw_only=True)
class MoverClient(DriverClient):
    async def lend(self):
        async with self.resource_async(Endless()) as handle:
            await self.call_async("read", handle)

    async def lend_in_a_group(self):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.lend)
            await anyio.sleep_forever()

    async def shout(self):
        async with self.resource_async(Endless()):
            while True:
                click.echo("y" * 1000)
                await asyncio.sleep(0)

    def cli(self):
        @click.group()
        def base():
            "Moves data"
        @base.command()
        def portal(): self.portal.call(self.lend)
        @base.command()
        def portal_nested(): self.portal.call(self.lend_in_a_group)
        @base.command()
        def own_loop(): anyio.run(self.lend)
        @base.command()
        def own_loop_nested(): asyncio.run(self.lend_in_a_group())
        @base.command()
        def blocked_loop():
            async def block():
                click.echo("moving", err=True)
                time.sleep(600)
            anyio.run(block)
        @base.command()
        @click.argument("number", type=int)
        def own_loop_taking(number):
            def once_taken(frame, event, function):
                # The loop has taken a callback from its queue, and has not run it yet.
                if event == "c_return" and function.__name__ == "popleft" and frame.f_code.co_name == "_run_once":
                    sys.setprofile(None)
                    os.kill(os.getpid(), number)
            async def work():
                while True:
                    await asyncio.sleep(0)
            async def main():
                async with anyio.create_task_group() as tasks:
                    for _ in range(3):
                        tasks.start_soon(work)
                    await asyncio.sleep(0)
                    sys.setprofile(once_taken)
                    await anyio.sleep_forever()
            anyio.run(main)
        @base.command()
        def shout_portal(): self.portal.call(self.shout)
        @base.command()
        def shout_own_loop(): anyio.run(self.shout)
        @base.command()
        def shout_nested():
            async def shout():
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self.shout)
            anyio.run(shout)
        return base
"""

WAYS = ["portal", "portal-nested", "own-loop", "own-loop-nested", "blocked-loop"]


@pytest.fixture
def mover(cli: Cli, tmp_path: Path) -> Iterator[None]:
    (tmp_path / "mover.py").write_text(DRIVER)
    cli.extra["PYTHONPATH"] = str(tmp_path)
    cli.exporter("mover", "metadata: {name: mover}\nexport: {mover: {type: mover.Mover}}\n")
    cli.ok("jmp", "local", "start", "--exporter", "mover")
    yield
    cli.jmp("local", "stop")


@pytest.mark.parametrize("way", WAYS)
def test_a_signal_ends_a_transfer_in_one_line_at_most(
    cli: Cli, mover: None, start: Callable[..., Running], way: str
) -> None:
    for signum, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        running = start("j", "mover", way)
        running.wait_for("moving")
        assert running.end(signum) == code
        assert "".join(running.seen).strip().splitlines()[1:] == []


@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_in_the_midst_of_the_commands_own_loop_ends_it(
    cli: Cli, mover: None, signum: signal.Signals, code: int
) -> None:
    result = cli.j("mover", "own-loop-taking", str(int(signum)))
    assert (result.code, result.err.strip()) == (code, "")


def test_a_signal_while_modules_are_being_loaded_ends_the_command() -> None:
    program = (
        "import os, sys, types\n"
        "from jumpstarter_cli.ending import handle_signals\n"
        "handle_signals()\n"
        "sys.modules.update({name: types.ModuleType(name) for name in ('asyncio', 'logging')})\n"
        "os.kill(os.getpid(), 15)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (128 + signal.SIGTERM, "")


@pytest.mark.parametrize("way", ["shout-portal", "shout-own-loop", "shout-nested"])
def test_output_that_nobody_reads_ends_a_transfer_in_silence(cli: Cli, mover: None, way: str) -> None:
    result = cli.run("bash", "-c", f"j mover {way} | head -c 10 >/dev/null; exit ${{PIPESTATUS[0]}}")
    assert (result.code, result.err) == (128 + signal.SIGPIPE, "moving\n")
