"""An exporter that speaks the protocol and says what moves the cursors of terminals, wherever a lab shows its words."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
import yaml
from jumpstarter_protocol import common_pb2, jumpstarter_pb2, jumpstarter_pb2_grpc

from .world import World, wait_for

EVIL = "sos\x1b[2J\x1b]0;owned\x07\x9b31m\rfake\u202e\u200b\U000e0041\x85end"
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\u200b\U000e0041]")


class Hostile:
    """The raw calls of an exporter, whose Status stream stays open until `close`."""

    def __init__(self, world: World, name: str) -> None:
        config = yaml.safe_load(world.add_exporter(name, f"name={name}").read_text())
        authority = base64.b64decode(config["tls"]["ca"])
        self.channel = grpc.secure_channel(config["endpoint"], grpc.ssl_channel_credentials(authority))
        self.stub: Any = jumpstarter_pb2_grpc.ControllerServiceStub(self.channel)
        self.metadata = [
            ("jumpstarter-kind", "Exporter"),
            ("jumpstarter-namespace", config["metadata"]["namespace"]),
            ("jumpstarter-name", name),
            ("authorization", f"Bearer {config['token']}"),
        ]
        report = jumpstarter_pb2.DriverInstanceReport(
            uuid="1", labels={"jumpstarter.dev/name": EVIL, EVIL: EVIL}, description=EVIL
        )
        self.ask("Register", jumpstarter_pb2.RegisterRequest(labels={"evil": EVIL}, reports=[report]))
        self._stream = self.stub.Status(jumpstarter_pb2.StatusRequest(), metadata=self.metadata)
        self.leased = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.report("AVAILABLE")

    def _read(self) -> None:
        try:
            for message in self._stream:
                if message.leased:
                    self.leased.set()
        except grpc.RpcError:
            return

    def ask(self, method: str, request: Any) -> None:
        getattr(self.stub, method)(request, metadata=self.metadata, timeout=60)

    def report(self, status: str, *, release: bool = False) -> None:
        value = common_pb2.ExporterStatus.Value(f"EXPORTER_STATUS_{status}")
        self.ask(
            "ReportStatus",
            jumpstarter_pb2.ReportStatusRequest(status=value, message=EVIL, release_lease=release),
        )

    def close(self) -> None:
        self._stream.cancel()
        self._reader.join(60)
        self.channel.close()


@pytest.fixture
def hostile(world: World) -> Iterator[Hostile]:
    exporter = Hostile(world, "hostile")
    yield exporter
    exporter.close()
    world.ok("admin", "delete", "exporter", "hostile")


def test_lists_and_reasons_show_its_words_without_control_characters(world: World, hostile: Hostile) -> None:
    shell = world.start("jmp", "shell", "-n", "hostile", "--retry-timeout", "0", "--", "true")
    assert hostile.leased.wait(60)
    (lease,) = world.leases()
    hostile.report("BEFORE_LEASE_HOOK")
    hostile.report("BEFORE_LEASE_HOOK_FAILED", release=True)
    assert shell.wait() != 0
    texts = {"jmp shell": shell.text()}
    for command in (
        *(
            f"get {each}"
            for each in ("exporters", "exporters --with status", "exporters -o json", "exporters -o yaml")
        ),
        *(f"get leases --all{each}" for each in ("", " -o wide", " -o json", " -o yaml")),
        *(f"admin get exporter hostile{each}" for each in ("", " -o json", " -o yaml")),
        *(f"admin get lease {lease['name']}{each}" for each in ("", " -o yaml")),
        "admin get audit",
    ):
        texts[command] = world.ok(*command.split())
    ended = world.jmp("shell", "--lease", lease["name"], "--", "true")
    texts["jmp shell --lease"] = ended.out + ended.err
    assert {name: text for name, text in texts.items() if CONTROL.search(text)} == {}
    assert any(r"sos\x1b[2J" in text for text in texts.values())
    assert r"sos\x1b[2J" in texts["jmp shell"]


def test_followed_lists_show_its_words_without_control_characters(world: World, hostile: Hostile) -> None:
    watching = world.start("jmp", "get", "exporters", "-w")
    watching.until("hostile")
    hostile.report("AFTER_LEASE_HOOK_FAILED")
    text = wait_for(lambda: watching.text() if watching.text().count("hostile") > 1 else "", "it is told")
    watching.end()
    assert CONTROL.search(text) is None
