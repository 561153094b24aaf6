"""Exporters in processes of their own, which a suite may kill."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from robot.api.deco import keyword, library

DRIVERS = Path(__file__).resolve().parents[2] / "utest" / "faults"
LIMIT = 60
CONFIG = """\
metadata: {name: faulty}
export:
  faulty: {type: faulty.Faulty}
  power: {type: jumpstarter_driver_power.driver.MockPower}
"""


@library(scope="SUITE", auto_keywords=False)
class exporters:  # noqa: N801 - Robot's name for it
    """Starts and ends one exporter at a time."""

    def __init__(self) -> None:
        # The clients of these drivers are imported by Robot's process.
        sys.path.append(str(DRIVERS))
        self._folder = Path()
        self._process: subprocess.Popen[str] | None = None
        self._address = ""

    @keyword
    def start_exporter(self) -> str:
        """Start an exporter, in place of the one before, and return its address."""
        self.clean_up()
        self._folder = Path(tempfile.mkdtemp(prefix="jmp-faults-"))
        config = self._folder / "exporter.yaml"
        config.write_text(CONFIG)
        command = ["jmp", "run", "--exporter-config", str(config)]
        listener = ["--tls-grpc-listener", "127.0.0.1:0", "--tls-grpc-insecure"]
        environment = {**os.environ, "PYTHONPATH": str(DRIVERS), "TMPDIR": str(self._folder)}
        self._process = subprocess.Popen(
            [*command, *listener],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if found := re.search(r"listens on (\S+)", line):
                self._address = found[1]
            if "is ready" in line:
                break
        # It must never wait for somebody to read what it logs.
        threading.Thread(target=self._process.stderr.read, daemon=True).start()
        return self._address

    @keyword
    def kill_exporter_when_it_is_busy(self, name: str) -> None:
        """Kill the exporter as soon as a client has *name* of its driver in use."""
        threading.Thread(target=self._kill_when_busy, args=(name,), daemon=True).start()

    def _kill_when_busy(self, name: str) -> None:
        from jumpstarter.client.client import connect_path
        from jumpstarter_testing.eventually import eventually

        try:
            with connect_path(self._address, allow=[], unsafe=True, insecure=True) as client:
                eventually(lambda: name in client.faulty.call("held"), timeout=LIMIT)
        finally:
            self.end_exporter(signal.SIGKILL)

    @keyword
    def end_exporter(self, signum: int = signal.SIGTERM) -> int:
        """Send the exporter a signal and return its exit code."""
        assert self._process is not None
        self._process.send_signal(signum)
        return self._process.wait(LIMIT)

    @keyword
    def clean_up(self) -> None:
        """Remove everything."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            shutil.rmtree(self._folder)
