"""Who meets in a scenario: a client and an exporter, each ours or a stock one, with our controller between them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

from jumpstarter_protocol import client_pb2, common_pb2

from utest.interop_lab.lab import ROOT, Installation, Lab, Process, RawClient

OURS = "ours"
STOCK = ("0.9.0", "0.8.1")
AVAILABLE = "EXPORTER_STATUS_AVAILABLE"
OFFLINE = "EXPORTER_STATUS_OFFLINE"
PATIENCE = 60.0

HOOK = """\
  {name}:
    script: {script}
    onFailure: {on_failure}
    timeout: {timeout}
{exec}"""


def hook(
    name: str, script: str, on_failure: str = "warn", *, timeout: int = 30, interpreter: str = ""
) -> str:
    """One hook, to be joined with others by `hooks`."""
    shell = f"    exec: {json.dumps(interpreter)}\n" if interpreter else ""
    return HOOK.format(
        name=name, script=json.dumps(script), on_failure=on_failure, timeout=timeout, exec=shell
    )


def before(script: str, on_failure: str = "warn", **more: Any) -> str:
    return hook("beforeLease", script, on_failure, **more)


def after(script: str, on_failure: str = "warn", **more: Any) -> str:
    return hook("afterLease", script, on_failure, **more)


def hooks(*each: str) -> str:
    """The part of an exporter's file that describes its hooks."""
    return "hooks:\n" + "".join(each)


@dataclass(frozen=True)
class Shell:
    """How a `jmp shell` ended; *text* is all that it printed."""

    code: int
    text: str

    @classmethod
    def of(cls, done: subprocess.CompletedProcess[str]) -> Shell:
        return cls(done.returncode, done.stdout + done.stderr)

    def ok(self) -> str:
        assert self.code == 0, f"{self.code}\n{self.text}"
        return self.text


@dataclass
class Board:
    """An exporter that runs; it is leased with its name."""

    name: str
    process: Process
    lab: Lab

    @property
    def status(self) -> str:
        return str(common_pb2.ExporterStatus.Name(self.lab.exporter(self.name).status))

    @property
    def log(self) -> str:
        return self.process.text

    def until(self, status: str) -> None:
        """Wait until the controller knows that status; it tells nobody when it changes."""
        deadline, never = monotonic() + PATIENCE, Event()
        while self.status != status:
            assert monotonic() < deadline, f"{self.name} is {self.status}, not {status}\n{self.log}"
            never.wait(0.05)

    def ends(self) -> int:
        """Wait until the process has ended; gives its exit code."""
        return self.process.popen.wait(PATIENCE)


@dataclass(frozen=True)
class Peers:
    """The lab, and the installations of everyone who may take part in it."""

    lab: Lab
    installations: Mapping[str, Installation]
    clients: dict[str, Path]

    def client(self, name: str) -> Path:
        """The configuration file of a client; the client is made when it is asked for first."""
        if name not in self.clients:
            self.clients[name] = self.lab.client_config(name)
        return self.clients[name]

    def raw(self, name: str = "raw") -> RawClient:
        return self.lab.raw(self.client(name))

    def leased(self, board: str) -> bool:
        """Whether anybody has a lease of that board, or waits for one."""
        raw = self.raw()
        request = client_pb2.ListLeasesRequest(parent=ROOT)
        found = raw.clients.ListLeases(request, metadata=raw.metadata, timeout=PATIENCE).leases
        return any(board in (lease.exporter_name, lease.exporter.rpartition("/")[2]) for lease in found)

    @contextmanager
    def board(self, owner: str, name: str, more: str = "", **labels: str) -> Iterator[Board]:
        """An exporter of *owner* that is available."""
        config = self.lab.exporter_config(name, more, **labels)
        with self.exporting(owner, name, config) as board:
            yield board

    @contextmanager
    def exporting(self, owner: str, name: str, config: Path) -> Iterator[Board]:
        """As `board`, with a configuration that is there already."""
        with self.installations[owner].start("jmp", "run", "--exporter-config", str(config)) as process:
            board = Board(name, process, self.lab)
            if not self.leased(name):  # else it may be available for no longer than a moment
                board.until(AVAILABLE)
            yield board

    def shell(
        self, owner: str, board: str, *command: str, client: str = "alice", options: tuple[str, ...] = ()
    ) -> Shell:
        """`jmp shell` of *owner*'s installation, with a command, to its end."""
        return self.shell_with(owner, "-n", board, *options, "--", *(command or ("true",)), client=client)

    def shell_with(self, owner: str, *arguments: str, client: str = "alice") -> Shell:
        """`jmp shell --client-config FILE ...`."""
        config = str(self.client(client))
        return Shell.of(self.installations[owner].run("jmp", "shell", "--client-config", config, *arguments))

    def jmp(self, owner: str, *command: str, client: str = "alice") -> subprocess.CompletedProcess[str]:
        """`jmp VERB NOUN --client-config FILE ...`."""
        return self.installations[owner].run(
            "jmp", *command[:2], "--client-config", str(self.client(client)), *command[2:]
        )

    def ok(self, owner: str, *command: str, client: str = "alice") -> str:
        """As `jmp`, which must succeed; gives what it printed on standard output."""
        done = self.jmp(owner, *command, client=client)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout
