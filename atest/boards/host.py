"""What a board needs of its host: the files of its Linux, disk images, and a web server that it can reach."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import tempfile
import threading
from contextlib import ExitStack
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from robot.api import SkipExecution
from robot.api.deco import keyword, library

EMULATOR = "qemu-system-aarch64"
UBOOT = Path("/usr/lib/u-boot/qemu_arm64/u-boot.bin")
LIMIT = 60
DISK = 2 << 20


class Files(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the suite's log is not the place."""


def linux_folder() -> Path:
    """Where scripts/board/get-debian-arm64 puts its files."""
    return Path(os.environ["JMP_CACHE"]) / "boards" / "debian-arm64"


@library(scope="SUITE", auto_keywords=False)
class host:  # noqa: N801 - Robot's name for it
    """The host of an emulated board; its folder is served to the board by HTTP."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._folder = Path()

    @keyword
    def board_exporter(self) -> str:
        """The path of a board's configuration; skips where QEMU, U-Boot or the kernel are missing."""
        if shutil.which(EMULATOR) is None or not UBOOT.is_file():
            raise SkipExecution(f"no {EMULATOR} or no {UBOOT}: run scripts/board/install-qemu")
        linux = linux_folder()
        if not all((linux / name).is_file() for name in ("Image", "initrd.gz")):
            raise SkipExecution(f"no Linux for the board in {linux}: run scripts/board/get-debian-arm64")
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="jmp-board-")))
        web = {"hostport": 0, "guestport": 80}
        qemu = {"arch": "aarch64", "smp": 1, "tftp": str(linux), "hostfwd": {"web": web}}
        uboot = {"power": {"ref": "qemu.power"}, "serial": {"ref": "qemu.console"}}
        export = {
            "qemu": {"type": "jumpstarter_driver_qemu.driver.Qemu", "config": qemu},
            "uboot": {"type": "jumpstarter_driver_uboot.driver.UbootConsole", "children": uboot},
        }
        document = {
            "apiVersion": "jumpstarter.dev/v1alpha1",
            "kind": "ExporterConfig",
            "metadata": {"namespace": "default", "name": "board"},
            "export": export,
        }
        path = self._folder / "exporter.yaml"
        path.write_text(json.dumps(document))
        return str(path)

    @keyword
    def linux_file_size(self, name: str) -> int:
        """How many bytes a file of the board's Linux has."""
        return (linux_folder() / name).stat().st_size

    @keyword
    def make_disk(self, name: str) -> str:
        """A disk image of random bytes; its path."""
        path = self._folder / name
        path.write_bytes(os.urandom(DISK))
        return str(path)

    @keyword
    def host_file(self, name: str) -> str:
        """The path of a file that may not exist yet."""
        return str(self._folder / name)

    @keyword
    def digest_of(self, path: str) -> str:
        """The SHA-256 digest of a file, in hexadecimal."""
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()

    @keyword
    def start_web_server(self) -> int:
        """Serve the folder on the loopback address, which the board has at 10.0.2.2; the port."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=str(self._folder)))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        for end in (server.server_close, thread.join, server.shutdown):  # in the order of an exit stack
            self._stack.callback(end)
        return int(server.server_address[1])

    @keyword
    def receive_disk(self, path: str, address: Any) -> None:
        """Connect to a host and port, and store as many bytes as a disk has."""
        received = bytearray()
        with socket.create_connection(tuple(address), timeout=LIMIT) as sock:
            while len(received) < DISK:
                data = sock.recv(DISK - len(received))
                assert data, f"the peer ended after {len(received)} of {DISK} bytes"
                received += data
        Path(path).write_bytes(received)

    @keyword
    def clean_up(self) -> None:
        """End the server and remove the folder."""
        self._stack.close()
