"""Exporters that Python programs run in a lab, under the names of stock Jumpstarter."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .world import Process, World, wait_for

#: Signals end it as a program would have it; what it prints last is how it ended.
PROGRAM = """
import asyncio, logging, signal, sys
from jumpstarter.config.exporter import ExporterConfigV1Alpha1

async def main():
    logging.basicConfig(level="INFO")
    config = ExporterConfigV1Alpha1.load(sys.argv[1])
    async with config.create_exporter() as exporter:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, lambda: exporter.stop(should_unregister=True, exit_code=5))
        loop.add_signal_handler(signal.SIGINT, exporter.stop)
        loop.add_signal_handler(
            signal.SIGHUP, lambda: exporter.stop(wait_for_lease_exit=True, should_unregister=True)
        )
        await exporter.serve()
    print("exit code", exporter.exit_code)

asyncio.run(main())
"""

_numbers = itertools.count(1)

Make = Callable[..., tuple[str, Process]]


@pytest.fixture
def exporter(world: World) -> Iterator[Make]:
    started: list[Process] = []

    def make(program: str = PROGRAM, **config: Any) -> tuple[str, Process]:
        name = f"api-{next(_numbers)}"
        world.add_exporter(name, f"name={name}", **config)
        started.append(world.start("python", "-c", program, name))
        started[-1].until("registered as")
        wait_for(lambda: status(world, name) == "Available", f"{name} is available")
        return name, started[-1]

    yield make
    for process in started:
        process.end(signal.SIGKILL)


def status(world: World, name: str) -> str:
    return str(world.exporter(name)["status"]["exporterStatus"])


def test_client_leases_it_and_hooks_run(world: World, exporter: Make) -> None:
    hooks = {
        "beforeLease": {"script": "j power on && echo prepared for $CLIENT_NAME"},
        "afterLease": {"script": "echo cleaned"},
    }
    name, process = exporter(hooks=hooks)
    done = world.jmp("shell", "-n", name, "--", "j", "power", "off")
    assert done.code == 0, done.err
    assert "prepared for anna" in done.err
    process.until("cleaned")
    wait_for(lambda: status(world, name) == "Available", "it is available again")
    assert process.end(signal.SIGTERM) == 0
    assert process.text().endswith("exit code 5\n")
    assert status(world, name) == "Offline"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_only_a_stop_that_says_so_unregisters(world: World, exporter: Make, number: int) -> None:
    name, process = exporter()
    assert len(world.exporter(name)["status"]["devices"]) == 2
    assert process.end(number) == 0
    known = world.exporter(name)["status"].get("devices") or []
    # Without, the controller finds out by itself, later.
    assert len(known) == (2 if number == signal.SIGINT else 0)


def test_stop_may_wait_for_the_lease(world: World, exporter: Make) -> None:
    name, process = exporter()
    shell = world.start("jmp", "shell", "-n", name, "--", "sh", "-c", "echo started; exec sleep 600")
    shell.until("started")
    process.popen.send_signal(signal.SIGHUP)
    # The lease goes on: whoever has it can still connect.
    (lease,) = world.leases()
    assert world.ok("shell", "--lease", lease["name"], "--", "j", "power", "on") == "ok\n"
    assert process.popen.poll() is None
    shell.end()
    assert process.wait() == 0
    assert process.text().endswith("exit code None\n")


def test_hook_that_ends_the_exporter_gives_its_code(world: World, exporter: Make) -> None:
    hooks = {"beforeLease": {"script": "exit 3", "onFailure": "exit"}}
    name, process = exporter(hooks=hooks)
    assert world.jmp("shell", "-n", name, "--retry-timeout", "0", "--", "true").code != 0
    assert process.wait() == 0
    assert process.text().endswith("exit code 1\n")


def test_serve_of_a_configuration_is_all_that_a_program_needs(world: World, exporter: Make) -> None:
    program = """
import asyncio, logging, sys
from jumpstarter.config.exporter import ExporterConfigV1Alpha1
logging.basicConfig(level="INFO")
asyncio.run(ExporterConfigV1Alpha1.load(sys.argv[1]).serve())
"""
    name, process = exporter(program, exitOnLeaseEnd=True)
    assert world.jmp("shell", "-n", name, "--", "j", "power", "on").code == 0
    assert process.wait() == 0, process.text()


def test_exporter_that_a_program_makes_of_parts(world: World, exporter: Make) -> None:
    """The channel, the drivers, the hooks and the labels are the program's own."""
    program = """
import asyncio, logging, sys, grpc
from jumpstarter.common.grpc import aio_secure_channel, ssl_channel_credentials
from jumpstarter.config.exporter import ExporterConfigV1Alpha1, HookConfigV1Alpha1, HookInstanceConfigV1Alpha1
from jumpstarter.config.grpc import call_credentials
from jumpstarter.exporter import Exporter
from jumpstarter.exporter.hooks import HookExecutor
from jumpstarter_driver_power.driver import MockPower

async def main():
    logging.basicConfig(level="INFO")
    config = ExporterConfigV1Alpha1.load(sys.argv[1])

    async def connect():
        credentials = grpc.composite_channel_credentials(
            await ssl_channel_credentials(config.endpoint, config.tls),
            call_credentials("Exporter", config.metadata, config.token),
        )
        return aio_secure_channel(config.endpoint, credentials, config.grpcOptions)

    hook = HookInstanceConfigV1Alpha1(script="echo made of parts")
    async with Exporter(
        channel_factory=connect,
        device_factory=MockPower,
        tls=config.tls,
        grpc_options=config.grpcOptions,
        hook_executor=HookExecutor(config=HookConfigV1Alpha1(before_lease=hook)),
        exit_on_lease_end=True,
        motd="welcome",
    ) as exporter:
        await exporter.serve()

asyncio.run(main())
"""
    name, process = exporter(program)
    done = world.jmp("shell", "-n", name, "--", "j", "on")
    assert done.code == 0, done.err
    assert "made of parts" in done.err
    assert process.wait() == 0, process.text()
