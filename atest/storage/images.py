"""Images for storage devices: what they hold is random, and compressed by the tools' own formats."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma
import os
import subprocess
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from robot.api.deco import keyword, library

FAMILY = "jumpstarter_driver_opendal.driver."


def _zstd(data: bytes) -> bytes:
    import zstandard

    return zstandard.compress(data)


def _unzstd(data: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdDecompressor().decompressobj().decompress(data)


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
    "zstd": _zstd,
}
UNPACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "xz": lzma.decompress,
    "bz2": bz2.decompress,
    "zstd": _unzstd,
}


class Files(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the suite's log is not the place."""


@library(scope="SUITE", auto_keywords=False)
class images:  # noqa: N801 - Robot's name for it
    """Makes and compares files, in a folder of the suite."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._folder = Path()

    @keyword
    def start_storage(self) -> str:
        """Make the folder; the path of a configuration with storage of every kind.

        The driver `files` has the folder `store` of the suite's folder, which is where `In Store` looks.
        """
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="jmp-storage-")))
        store = self._folder / "store"
        store.mkdir()
        export = {
            "files": {"type": FAMILY + "Opendal", "config": {"scheme": "fs", "kwargs": {"root": str(store)}}},
            "memory": {"type": FAMILY + "Opendal", "config": {"scheme": "memory", "kwargs": {}}},
            "storage": {"type": FAMILY + "MockStorageMux"},
            "card": {"type": FAMILY + "MockStorageMuxFlasher"},
            "flasher": {"type": FAMILY + "MockFlasher"},
        }
        document = {
            "apiVersion": "jumpstarter.dev/v1alpha1",
            "kind": "ExporterConfig",
            "metadata": {"namespace": "default", "name": "storage"},
            "export": export,
        }
        path = self._folder / "exporter.yaml"
        path.write_text(json.dumps(document))
        return str(path)

    @keyword
    def make_image(self, name: str, size: int = 3_000_001) -> str:
        """A file of random bytes; its path."""
        path = self._folder / name
        path.write_bytes(os.urandom(size))
        return str(path)

    @keyword
    def pack_image(self, path: str, compression: str) -> str:
        """A compressed copy of a file; its path."""
        packed = Path(f"{path}.{compression}")
        packed.write_bytes(PACK[compression](Path(path).read_bytes()))
        return str(packed)

    @keyword
    def unpack_image(self, path: str, compression: str) -> str:
        """What a compressed file holds, in a file; its path."""
        unpacked = Path(f"{path}.unpacked")
        unpacked.write_bytes(UNPACK[compression](Path(path).read_bytes()))
        return str(unpacked)

    @keyword
    def in_folder(self, name: str) -> str:
        """The path of a file that may not exist yet."""
        return str(self._folder / name)

    @keyword
    def in_store(self, name: str) -> str:
        """The path of a file of the driver `files`, as the exporter's machine sees it."""
        return str(self._folder / "store" / name)

    @keyword
    def digest_of(self, path: str, algorithm: str = "sha256") -> str:
        """The digest of a file, in hexadecimal, by the tool of the system."""
        done = subprocess.run([f"{algorithm}sum", path], capture_output=True, text=True, check=True)
        return done.stdout.split()[0]

    @keyword
    def files_should_be_equal(self, first: str, second: str) -> None:
        """Compare the content of two files."""
        contents = [Path(path).read_bytes() for path in (first, second)]
        if contents[0] != contents[1]:
            facts = " and ".join(f"{len(data)} bytes {hashlib.sha256(data).hexdigest()}" for data in contents)
            raise AssertionError(f"{first} and {second} differ: {facts}")

    @keyword
    def start_web_server(self) -> str:
        """Serve the suite's folder; the URL."""
        handler = partial(Files, directory=str(self._folder))
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        for end in (server.server_close, thread.join, server.shutdown):  # in the order of an exit stack
            self._stack.callback(end)
        return f"http://127.0.0.1:{server.server_address[1]}"

    @keyword
    def clean_up(self) -> None:
        """Remove everything."""
        self._stack.close()
