"""What happens to a file that is there already, when what shall replace it cannot be had or breaks off."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jumpstarter.common.exceptions import ArgumentError, DriverError, FileAccessError, FileNotFoundError
from jumpstarter.common.utils import serve
from jumpstarter_driver_opendal.client import OpendalClient
from jumpstarter_driver_opendal.driver import Opendal

DATA = os.urandom(1 << 20) * 3


@pytest.fixture
def kept(root: Path) -> Iterator[Path]:
    """A file of the storage that must stay as it is."""
    path = root / "keep"
    path.write_bytes(b"kept")
    path.chmod(0o640)
    yield path
    assert path.read_bytes() == b"kept"
    assert [one.name for one in root.iterdir()] == ["keep"]


class Cutting(BaseHTTPRequestHandler):
    """Answers 404, or with a body that ends early."""

    def do_GET(self) -> None:
        self.send_response(404 if "nosuch" in self.path else 200)
        self.send_header("Content-Length", str(len(DATA)))
        self.end_headers()
        if "nosuch" not in self.path:
            self.wfile.write(DATA[:-1])
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Not on the test's output."""


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Cutting) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "address", ["s3://user:secret@bucket/image", "FTP://host/image", "file:///no/such/image"]
)
def test_an_address_of_another_kind_is_not_taken_for_a_file(
    opendal: OpendalClient, kept: Path, address: str
) -> None:
    with pytest.raises(FileNotFoundError, match="addresses begin with http:// or https://") as error:
        opendal.write_from_path("keep", address)
    assert "secret" not in str(error.value)
    assert kept.read_bytes() == b"kept"


def test_a_path_that_no_file_can_have(opendal: OpendalClient, kept: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"cannot read '/no.x00file': embedded null byte"):
        opendal.write_from_path("keep", "/no\0file")
    assert kept.read_bytes() == b"kept"


def test_a_source_that_is_not_there(opendal: OpendalClient, kept: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="cannot read '/no/such/file'"):
        opendal.write_from_path("keep", "/no/such/file")
    result = CliRunner().invoke(opendal.cli(), ["write-from-path", "keep", "/no/such/file"])
    assert isinstance(result.exception, FileNotFoundError)
    with pytest.raises(FileAccessError, match="Is a directory"):
        opendal.write_from_path("keep", tmp_path)
    with pytest.raises(ArgumentError, match="address is not valid"):
        opendal.write_from_path("keep", "http://:1:2/")
    with pytest.raises(FileNotFoundError):
        opendal.write_from_path("new", "/no/such/file")


def test_a_source_that_cannot_be_read(opendal: OpendalClient, kept: Path) -> None:
    # Opens, and fails when it is read.
    with pytest.raises(OSError):
        opendal.write_from_path("keep", "/proc/self/mem")


def test_a_source_that_breaks_off(opendal: OpendalClient, kept: Path, url: str) -> None:
    with pytest.raises(DriverError, match="404"):
        opendal.write_from_path("keep", f"{url}/nosuch")
    with pytest.raises(DriverError, match="1 bytes are missing"):
        opendal.write_from_path("keep", f"{url}/cut")
    handle = {"kind": "presigned_request", "url": f"{url}/cut", "method": "GET"}
    with pytest.raises(DriverError, match="1 bytes are missing"):
        opendal.call("file_write", opendal.open("keep", "wb").fd, handle)


def test_a_source_in_an_operator_that_is_not_there(
    opendal: OpendalClient, kept: Path, tmp_path: Path
) -> None:
    import opendal as library

    with pytest.raises(OSError, match="nosuch"):
        opendal.write_from_path("keep", "nosuch", operator=library.Operator("fs", root=str(tmp_path)))


def test_a_client_that_leaves_a_file_open(root: Path, kept: Path) -> None:
    with serve(Opendal(scheme="fs", kwargs={"root": str(root)})) as client:
        client.open("keep", "wb").write_bytes(DATA)


WRITES: dict[str, Callable[[OpendalClient, Path], None]] = {
    "bytes": lambda client, path: client.write_bytes("f", DATA),
    "path": lambda client, path: client.write_from_path("f", path),
    "link": lambda client, path: client.write_from_path("link", path),
}


@pytest.mark.parametrize("way", WRITES)
def test_a_file_that_is_replaced_keeps_its_mode_and_links(
    opendal: OpendalClient, root: Path, tmp_path: Path, way: str
) -> None:
    (root / "f").write_bytes(b"old and longer" * 1_000_000)
    (root / "f").chmod(0o640)
    (root / "link").symlink_to("f")
    (tmp_path / "src").write_bytes(DATA)
    WRITES[way](opendal, tmp_path / "src")
    assert (root / "f").read_bytes() == DATA
    assert (root / "f").stat().st_mode & 0o777 == 0o640
    assert sorted(one.name for one in root.iterdir()) == ["f", "link"]
    opendal.write_bytes("f", b"")
    assert (root / "f").read_bytes() == b""
