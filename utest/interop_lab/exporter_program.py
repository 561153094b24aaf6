"""A program for the Python API of stock Jumpstarter 0.9.0: exporters, sessions, hooks, shells.

Its arguments are the configuration files of an exporter and of a client of one lab. Run with any of the two products, it prints
the same.
"""

from __future__ import annotations

import json
import logging
import socket
import sys
import tempfile
import time
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import anyio
import grpc
from anyio import Event, create_task_group, fail_after, to_thread
from anyio.from_thread import start_blocking_portal
from jumpstarter.client.client import client_from_path
from jumpstarter.common import ExporterStatus, ExporterStub, LogSource
from jumpstarter.common.resources import ResourceMetadata
from jumpstarter.common.streams import (
    DriverStreamRequest,
    ResourceStreamRequest,
    StreamRequestMetadata,
)
from jumpstarter.common.utils import launch_shell, lease_ending_handler
from jumpstarter.config.client import ClientConfigV1Alpha1
from jumpstarter.config.exporter import (
    ExporterConfigV1Alpha1,
    ExporterConfigV1Alpha1DriverInstance,
    ExporterConfigV1Alpha1DriverInstanceBase,
    HookConfigV1Alpha1,
    HookInstanceConfigV1Alpha1,
)
from jumpstarter.driver import Driver, export
from jumpstarter.exporter import Exporter, Session
from jumpstarter.exporter.auth import PassphraseInterceptor, passphrase_client_interceptors
from jumpstarter.exporter.hooks import HookExecutionError, HookExecutor
from jumpstarter.exporter.lease_context import LeaseContext
from jumpstarter.exporter.logging import LogHandler, get_logger
from jumpstarter.streams.metadata import MetadataStreamAttributes
from jumpstarter_driver_power.driver import MockPower
from jumpstarter_protocol import jumpstarter_pb2 as pb

PATIENCE = 60


@dataclass(kw_only=True)
class Bench(Driver):
    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.base.DriverClient"

    @export
    def add(self, a: float, b: float) -> float:
        return a + b


class Context:
    async def abort(self, code, details):
        raise RuntimeError(code.name)


async def sessions():
    """Every way to serve a session."""
    folder = Path(tempfile.mkdtemp())
    with Session(root_device=Bench(), labels={"a": "b"}) as session:
        session.update_status(ExporterStatus.LEASE_READY)
        print(session[session.root_device.uuid] is session.root_device, len(session.mapping))

        async def ask(address, interceptors=()):
            async with grpc.aio.insecure_channel(address, interceptors=list(interceptors)) as channel:
                stub = ExporterStub(channel)
                status = await stub.GetStatus(pb.GetStatusRequest())
                end = await stub.EndSession(pb.EndSessionRequest())
                return status.status, end.success

        async with session.serve_unix_async() as path:
            print("unix", path.exists(), await ask(f"unix:{path}"))
        async with session.serve_unix_with_hook_socket_async() as (path, hook_path):
            print("two", await ask(f"unix:{path}"), await ask(f"unix:{hook_path}"))
        async with session.serve_port_async(f"unix:{folder}/a"):
            print("port", await ask(f"unix:{folder}/a"))
        async with session.serve_multi_port_async(f"unix:{folder}/b", f"unix:{folder}/c"):
            print("ports", await ask(f"unix:{folder}/b"), await ask(f"unix:{folder}/c"))
        guard = [PassphraseInterceptor("p")]
        async with session.serve_tcp_async("127.0.0.1", 0, interceptors=guard) as port:
            print("tcp", await ask(f"127.0.0.1:{port}", passphrase_client_interceptors("p")))
            try:
                await ask(f"127.0.0.1:{port}")
            except grpc.aio.AioRpcError as error:
                print(error.code().name)
        unix = folder / "d"
        async with session.serve_tcp_and_unix_async("127.0.0.1", 0, str(unix)):
            print("both", await ask(f"unix:{unix}"))
        session.lease_context = LeaseContext("lease", Event(), session=session)
        async with session.serve_unix_async() as path:
            session.lease_context.update_status(ExporterStatus.AFTER_LEASE_HOOK, "x")
            print("leased", await ask(f"unix:{path}"))
        with fail_after(PATIENCE):
            await session.lease_context.end_session_requested.wait()


async def drivers():
    """A driver that answers calls itself."""
    bench = Bench()
    print([name for _, _, name, _ in bench.enumerate(name="root")])
    request = pb.DriverCallRequest(uuid=str(bench.uuid), method="nothing")
    try:
        await bench.DriverCall(request, Context())
    except RuntimeError as error:
        print(error.args[0] in ("NOT_FOUND", "UNKNOWN"))
    async with bench.Stream(ResourceStreamRequest(uuid=bench.uuid), Context()) as stream:
        metadata = ResourceMetadata(**stream.extra(MetadataStreamAttributes.metadata))
        async with bench.resource(metadata.resource.model_dump(mode="json")) as resource:
            await stream.send(b"down")
            print(await resource.receive())
            await resource.send(b"up")
            print(await stream.receive())
    sent = StreamRequestMetadata.model_construct(
        request=DriverStreamRequest(uuid=bench.uuid, method="m")
    ).model_dump(mode="json", round_trip=True)
    print(list(sent), sorted(json.loads(sent["request"])))
    read = StreamRequestMetadata(**sent, other="entry").request
    print(type(read).__name__, read.kind, read.uuid == bench.uuid, read.method)


def logs():
    queue = deque()
    handler = LogHandler(queue, LogSource.SYSTEM)
    logger = get_logger("program.part")
    logger.setLevel("INFO")
    logger.propagate = False
    logger.addHandler(handler)
    handler.add_child_handler("program", LogSource.AFTER_LEASE_HOOK)
    logger.info("one")
    handler.remove_child_handler("program")
    logger.warning("two %s", "2")
    print([(line.severity, line.message, line.source) for line in queue])


async def hooks():
    """Hooks for a lease of the program's own, with what they report."""
    cases = [("exit 0", "warn"), ("exit 3", "warn"), ("exit 3", "endLease"), ("exit 3", "exit")]
    for kind in ("before_lease", "after_lease"):
        for script, on_failure in cases:
            hook = HookInstanceConfigV1Alpha1(script=script, onFailure=on_failure, timeout=PATIENCE)
            executor = HookExecutor(config=HookConfigV1Alpha1(**{kind: hook}))
            said = []

            async def report(status, message, said=said):
                said.append(status.name)

            async def release(said=said):
                said.append("release")

            with Session(root_device=Bench()) as session:
                async with session.serve_unix_with_hook_socket_async() as (path, hook_path):
                    lease = LeaseContext("lease", Event(), client_name="anna")
                    lease.session, lease.socket_path, lease.hook_socket_path = session, path, hook_path
                    execute = getattr(executor, f"execute_{kind}_hook")
                    try:
                        said.append(bool(await execute(lease)))
                    except HookExecutionError as error:
                        said += [error.hook_type, error.should_end_lease(), error.should_shutdown_exporter()]
                    run = getattr(executor, f"run_{kind}_hook")
                    await run(
                        lease, report, lambda said=said, **how: said.append(sorted(how.items())), release
                    )
                    print(kind, said, lease.before_lease_hook.is_set(), lease.skip_after_lease_hook)


def forms():
    power = "jumpstarter_driver_power.driver.MockPower"
    instance = ExporterConfigV1Alpha1DriverInstance(
        children={
            "a": ExporterConfigV1Alpha1DriverInstanceBase(type=power),
            "b": {"ref": "a"},
            "c": {"type": power, "config": {"log_level": "DEBUG"}},
        }
    )
    print({name: type(child.root).__name__ for name, child in instance.root.children.items()})
    read = ExporterConfigV1Alpha1DriverInstance.from_str(f"type: {power}")
    print(read.root.type, read == ExporterConfigV1Alpha1DriverInstance(type=power))
    device = instance.instantiate()
    print(type(device).__name__, device.children["c"].log_level)


def shells():
    out = Path(tempfile.mkdtemp()) / "out"
    names = (
        "JUMPSTARTER_HOST JMP_DRIVERS_ALLOW JMP_EXPORTER JMP_EXPORTER_LABELS JMP_LEASE JMP_GRPC_PASSPHRASE"
    )
    script = f'for n in {names}; do eval echo "$n \\${{$n-unset}}" >> {out}; done; exit 7'
    lease = SimpleNamespace(name="l", exporter_name="e", exporter_labels={"b": "1", "a": "2"})
    print(
        launch_shell(
            "/run/s", "remote", ["x.*", "y"], False, False, command=("sh", "-c", script), lease=lease
        )
    )
    print(launch_shell("h:1", "remote", [], True, False, command=("sh", "-c", script), passphrase="p"))
    print(out.read_text())
    print(lease.lease_ending_callback.func is lease_ending_handler)


def used(path, **options):
    """Use the power driver of the exporter at *path* as soon as it is ready."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with start_blocking_portal() as portal, ExitStack() as stack:
                connecting = client_from_path(path, portal, stack, [], True, **options)
                with portal.wrap_async_context_manager(connecting) as client:
                    client.on()
                    return
        except Exception:  # not there yet
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


async def standalone():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    marks = Path(tempfile.mkdtemp())
    config = HookConfigV1Alpha1(
        before_lease=HookInstanceConfigV1Alpha1(script=f"touch {marks}/before"),
        after_lease=HookInstanceConfigV1Alpha1(script=f"touch {marks}/after"),
    )

    async def no_controller():
        raise AssertionError("not asked for")

    async with Exporter(
        channel_factory=no_controller, device_factory=MockPower, hook_executor=HookExecutor(config=config)
    ) as exporter:
        with fail_after(2 * PATIENCE):
            async with create_task_group() as tasks:
                tasks.start_soon(exporter.serve_standalone_tcp, "127.0.0.1", port)
                await to_thread.run_sync(lambda: used(f"127.0.0.1:{port}", insecure=True))
                # Stock lets clients in while the hook runs.
                while not (marks / "before").exists():  # noqa: ASYNC110 - a file tells nobody
                    await anyio.sleep(0.1)
                print("standalone", sorted(mark.name for mark in marks.iterdir()), exporter.exit_code)
                exporter.stop(exit_code=4)
    print("stopped", exporter.exit_code)


async def in_a_lab(exporter_file, client_file):
    config = ExporterConfigV1Alpha1.load_path(Path(exporter_file))
    async with config.serve_unix_async() as path:
        print("own socket", path.is_socket())
    client_config = ClientConfigV1Alpha1.from_file(Path(client_file))

    def lease_it():
        with client_config.lease(selector="board=program") as lease, lease.connect() as client:
            client.power.on()
            print("leased", sorted(client.children))

    async with config.create_exporter() as exporter:
        print(exporter.hook_executor is None, exporter.exit_code, exporter.labels)
        with fail_after(2 * PATIENCE):
            async with create_task_group() as tasks:
                tasks.start_soon(exporter.serve)
                await to_thread.run_sync(lease_it)
                exporter.stop(should_unregister=True)
    print("left", exporter.exit_code)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    anyio.run(sessions)
    anyio.run(drivers)
    forms()
    shells()
    anyio.run(hooks)
    anyio.run(standalone)
    anyio.run(in_a_lab, *sys.argv[1:3])
    logging.disable(logging.NOTSET)
    logs()
