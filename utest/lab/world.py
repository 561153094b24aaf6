"""A lab of real processes: a controller with its router, exporters, and the commands of clients, all below one folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

SCRIPTS = Path(sys.executable).parent
POWER = {"power": {"type": "jumpstarter_driver_power.driver.MockPower"}}

#: Seconds for anything that should take a second on a machine that does other things, too.
PATIENCE = 60.0


@dataclass
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str


def wait_for(check: Callable[[], Any], what: str, timeout: float = PATIENCE) -> Any:
    """What *check* gives as soon as it is true. For things that tell nobody when they change."""
    deadline = time.monotonic() + timeout
    while not (found := check()):
        assert time.monotonic() < deadline, f"{what}: not within {timeout:g} s"
        time.sleep(0.05)
    return found


@dataclass
class Process:
    """A process with its output in a file."""

    popen: subprocess.Popen[bytes]
    log: Path

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def until(self, text: str, *, times: int = 1) -> str:
        """Wait until *text* has been printed."""

        def printed() -> bool:
            if self.text().count(text) >= times:
                return True
            assert self.popen.poll() is None, f"ended with {self.popen.returncode}: {self.text()}"
            return False

        wait_for(printed, f"{text!r} in {self.log}: {self.text()}")
        return self.text()

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; gives the exit code."""
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        return self.popen.wait(PATIENCE)

    def wait(self) -> int:
        return self.popen.wait(PATIENCE)


@dataclass
class World:
    """Everything lives below *home*; `close` ends all processes."""

    home: Path
    endpoint: str = ""
    processes: list[Process] = field(default_factory=list)
    _count: int = 0

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("JMP_", "JUMPSTARTER_", "XDG_", "_JMP"))
        }
        return {
            **kept,
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_STATE_HOME": str(self.home / "state"),
            "XDG_RUNTIME_DIR": str(self.home / "run"),
            "JMP_SYSTEM_CONFIG_HOME": str(self.home / "etc"),
            "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}",
            **(extra or {}),
        }

    def there(self, *command: str) -> tuple[str, ...]:
        """What runs *command* where the world is."""
        return command

    def start(self, *command: str, env: Mapping[str, str] | None = None) -> Process:
        """Start a process in a session of its own; standard output and error go to its log."""
        self._count += 1
        log = self.home / f"{self._count:03}-{Path(command[0]).name}.log"
        with log.open("wb") as file:
            popen = subprocess.Popen(
                self.there(*command),
                env=self.environment(env),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        process = Process(popen, log)
        self.processes.append(process)
        return process

    def jmp(self, *args: str, env: Mapping[str, str] | None = None) -> Result:
        """Run ``jmp`` to its end."""
        done = subprocess.run(
            self.there("jmp", *args),
            env=self.environment(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            start_new_session=True,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def ok(self, *args: str, env: Mapping[str, str] | None = None) -> str:
        """Run ``jmp``, which must succeed; gives what it printed on standard output."""
        done = self.jmp(*args, env=env)
        assert done.code == 0, f"jmp {' '.join(args)}: {done.code}\n{done.out}{done.err}"
        return done.out

    def start_controller(
        self, settings: Mapping[str, Any] | None = None, router_listen: str | None = "127.0.0.1:0"
    ) -> Process:
        """Start the controller; at the same address as before, if it ran before. *router_listen* None: as configured."""
        config = self.home / "controller.yaml"
        if settings is not None or not config.exists():
            kind = {"apiVersion": "jumpstarter.dev/v1alpha1", "kind": "ControllerConfig"}
            config.write_text(
                yaml.safe_dump({**kind, "login": {"listen": "127.0.0.1:0"}, **(settings or {})})
            )
        router = ("--router-listen", self.router or router_listen) if router_listen is not None else ()
        address = self.endpoint or "127.0.0.1:0"
        process = self.start(
            "jmp", "controller", "run", "--config", str(config), "--listen", address, *router
        )
        text = process.until("Ctrl-C stops it.")
        found = dict(line.split(maxsplit=1) for line in text.splitlines() if line.startswith("  "))
        self.endpoint, self.router = found["controller"], found["router"]
        return process

    router: str = ""

    @property
    def login_port(self) -> int:
        log = next(process for process in reversed(self.processes) if "login  " in process.text())
        line = next(line for line in log.text().splitlines() if line.startswith("  login"))
        return int(line.split()[-1])

    def add_client(self, name: str, *options: str) -> None:
        self.ok("admin", "create", "client", name, "--save", "--unsafe", *options)

    def add_exporter(self, name: str, labels: str, *, export: Any = None, **config: Any) -> Path:
        """Create an exporter; gives its configuration file."""
        options = [part for label in labels.split(",") for part in ("--label", label)]
        self.ok("admin", "create", "exporter", name, "--save", *options)
        path = self.home / "config" / "jumpstarter" / "exporters" / f"{name}.yaml"
        content = yaml.safe_load(path.read_text())
        path.write_text(yaml.safe_dump({**content, "export": export or POWER, **config}))
        return path

    def run_exporter(self, name: str) -> Process:
        """Start an exporter and wait until it can be leased."""
        process = self.start("jmp", "run", "--exporter", name)
        process.until("registered as")
        self.is_available(name)
        return process

    def run_exporter_again(self, name: str) -> Process:
        """Start an exporter whose lease goes on."""
        process = self.start("jmp", "run", "--exporter", name)
        process.until("registered as")
        return process

    def is_available(self, name: str) -> None:
        """Wait until an exporter can be leased."""
        wait_for(
            lambda: self.exporter(name)["status"]["exporterStatus"] == "Available", f"{name} is available"
        )

    def exporter(self, name: str) -> dict[str, Any]:
        """What the controller knows of an exporter."""
        return json.loads(self.ok("admin", "get", "exporter", name, "-o", "json"))  # type: ignore[no-any-return]

    def leases(self, *options: str) -> list[dict[str, Any]]:
        """The leases of all clients."""
        return json.loads(self.ok("admin", "get", "leases", "-o", "json", *options))["items"]  # type: ignore[no-any-return]

    def nothing_is_leased(self) -> None:
        wait_for(lambda: not self.leases(), "nothing is leased")

    def close(self) -> None:
        for process in reversed(self.processes):
            if process.popen.poll() is None:
                process.popen.terminate()
        for process in reversed(self.processes):
            with suppress(subprocess.TimeoutExpired):
                process.popen.wait(15)
            if process.popen.poll() is None:
                process.popen.kill()
                process.popen.wait()
