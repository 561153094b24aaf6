from __future__ import annotations

import bz2
import gzip
import lzma
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import zstandard
from jumpstarter.client.core import DriverError, DriverInvalidArgument
from jumpstarter.common.exceptions import ArgumentError, FileAccessError, FileNotFoundError
from jumpstarter.common.utils import serve
from jumpstarter_driver_opendal.client import (
    FlasherClient,
    OpendalClient,
    StorageMuxClient,
    StorageMuxFlasherClient,
)
from jumpstarter_driver_opendal.driver import MockFlasher, MockStorageMux, MockStorageMuxFlasher, Opendal

IMAGE = os.urandom(1 << 20) + b"\0" * (1 << 21) + b"end"

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
    "zstd": zstandard.compress,
}
DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "xz": lzma.decompress,
    "bz2": bz2.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
}


@dataclass
class Web:
    """An HTTP server whose files are in memory: GET and PUT."""

    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""


@contextmanager
def web_server() -> Iterator[Web]:
    web = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            web.requests.append(("GET", path))
            if path not in web.files:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(web.files[path])))
            self.end_headers()
            self.wfile.write(web.files[path])

        def do_PUT(self) -> None:
            path = self.path.split("?")[0]
            web.requests.append(("PUT", path))
            web.files[path] = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Not on the test's output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as server:
        yield server


@pytest.fixture
def image(tmp_path: Path) -> Path:
    (tmp_path / "image").write_bytes(IMAGE)
    return tmp_path / "image"


def mux_log(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "driver.MockStorageMuxFlasher"]


@pytest.fixture(params=[MockFlasher, MockStorageMuxFlasher])
def flasher(request: pytest.FixtureRequest) -> Iterator[FlasherClient]:
    with serve(request.param()) as client:
        yield client


def test_an_image_comes_back(flasher: FlasherClient, image: Path, tmp_path: Path) -> None:
    flasher.flash(image)
    flasher.dump(tmp_path / "dump")
    assert (tmp_path / "dump").read_bytes() == IMAGE
    # A shorter image leaves nothing of the longer one.
    image.write_bytes(b"short")
    flasher.flash(str(image))
    flasher.dump(str(tmp_path / "dump"))
    assert (tmp_path / "dump").read_bytes() == b"short"


@pytest.mark.parametrize("compression", COMPRESS)
def test_a_compressed_image_is_flashed_plain_and_dumped_compressed(
    flasher: FlasherClient, image: Path, tmp_path: Path, compression: Any
) -> None:
    # Two streams one after the other are one image.
    image.write_bytes(COMPRESS[compression](IMAGE) + COMPRESS[compression](b"more"))
    flasher.flash(image, compression=compression)
    flasher.dump(tmp_path / "plain")
    assert (tmp_path / "plain").read_bytes() == IMAGE + b"more"
    flasher.dump(tmp_path / "packed", compression=compression)
    assert DECOMPRESS[compression]((tmp_path / "packed").read_bytes()) == IMAGE + b"more"


def test_data_that_is_not_compressed_as_said_is_an_error(flasher: FlasherClient, image: Path) -> None:
    with pytest.raises(DriverError, match="gzip"):
        flasher.flash(image, compression="gzip")
    image.write_bytes(gzip.compress(IMAGE)[:-5])
    with pytest.raises(DriverError, match="gzip"):
        flasher.flash(image, compression="gzip")


def test_a_url_is_read_by_the_exporter(flasher: FlasherClient, web: Web, tmp_path: Path) -> None:
    web.files["/a.img"] = IMAGE
    flasher.flash(f"{web.url}/a.img")
    flasher.dump(tmp_path / "dump")
    assert (tmp_path / "dump").read_bytes() == IMAGE
    with pytest.raises(DriverError, match="404"):
        flasher.flash(f"{web.url}/nosuch.img")


def test_a_compressed_image_behind_a_url(flasher: FlasherClient, web: Web, tmp_path: Path) -> None:
    web.files["/a.img.xz"] = lzma.compress(IMAGE)
    flasher.flash(f"{web.url}/a.img.xz", compression="xz")
    flasher.dump(tmp_path / "dump")
    assert (tmp_path / "dump").read_bytes() == IMAGE


def test_a_storage_that_presigns_is_used_by_the_exporter_itself(
    flasher: FlasherClient, web: Web, tmp_path: Path
) -> None:
    import opendal

    web.files["/b/a.img"] = IMAGE
    operator = opendal.Operator(
        "s3",
        bucket="b",
        endpoint=web.url,
        region="r",
        access_key_id="id",
        secret_access_key="key",
        disable_ec2_metadata="true",
    )
    flasher.flash("a.img", operator=operator)
    flasher.dump("dump", operator=operator)
    assert web.files["/b/dump"] == IMAGE
    assert web.requests == [("GET", "/b/a.img"), ("PUT", "/b/dump")]


def test_partitions_are_flashed_and_dumped_apart(tmp_path: Path, image: Path, web: Web) -> None:
    (tmp_path / "boot").write_bytes(b"boot")
    web.files["/root.img"] = b"root"
    with serve(MockFlasher()) as client:
        client.flash({"boot": tmp_path / "boot", "../root": f"{web.url}/root.img"})
        client.flash(image, target="data")
        for partition, content in (("boot", b"boot"), ("../root", b"root"), ("data", IMAGE)):
            client.dump(tmp_path / "dump", target=partition)
            assert (tmp_path / "dump").read_bytes() == content
        with pytest.raises(DriverInvalidArgument, match="no image of the device: it was never flashed"):
            client.dump(tmp_path / "none")
        assert not (tmp_path / "none").exists()
        with pytest.raises(ArgumentError, match="target 'x' was given beside a mapping"):
            client.flash({"boot": image}, target="x")


def test_operators_may_be_given_by_partition(tmp_path: Path) -> None:
    import opendal

    operator = opendal.Operator("memory")
    operator.write("k", b"kernel")
    (tmp_path / "boot").write_bytes(b"boot")
    with serve(MockFlasher()) as client:
        client.flash({"kernel": "k", "boot": tmp_path / "boot"}, operator={"kernel": operator})
        client.dump("back", target="kernel", operator=operator)
    assert operator.read("back") == b"kernel"


def test_a_local_file_that_cannot_be_used_is_one_error(flasher: FlasherClient, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"cannot read '.*nosuch': No such file") as error:
        flasher.flash(tmp_path / "nosuch")
    assert isinstance(error.value, OSError)
    with pytest.raises(FileAccessError, match="Is a directory"):
        flasher.flash(tmp_path)
    with pytest.raises(FileAccessError, match=r"cannot write '.*nosuch/x'"):
        flasher.dump(tmp_path / "nosuch" / "x")
    with pytest.raises(ArgumentError, match="cannot write to 'http://x/y'"):
        flasher.dump("http://x/y")


def test_a_mux_is_with_the_dut_after_flash_and_dump(
    image: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with serve(MockStorageMuxFlasher()) as client:
        client.flash(image)
        client.dump(tmp_path / "dump")
    assert mux_log(caplog) == [
        "storage connected to host",
        f"wrote {len(IMAGE)} bytes",
        "storage connected to DUT",
        "storage connected to host",
        f"read {len(IMAGE)} bytes",
        "storage connected to DUT",
    ]


def test_a_mux_has_no_partitions(image: Path, tmp_path: Path) -> None:
    with serve(MockStorageMuxFlasher()) as client:
        with pytest.raises(
            ArgumentError, match="target 'x' was given, and this medium is written as a whole"
        ):
            client.flash(image, target="x")
        with pytest.raises(ArgumentError, match="a mapping was given"):
            client.flash({"boot": image})
        with pytest.raises(ArgumentError, match="read as a whole"):
            client.dump(tmp_path / "dump", target="x")


def test_a_mux_stays_with_the_host_when_flashing_fails(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    with serve(MockStorageMuxFlasher()) as client, pytest.raises(DriverError, match="404"):
        client.flash(f"{web.url}/nosuch")
    assert mux_log(caplog) == ["storage connected to host"]


def test_a_storage_mux_is_written_and_read(image: Path, tmp_path: Path) -> None:
    import opendal

    operator = opendal.Operator("memory")
    with serve(MockStorageMux()) as client:
        assert isinstance(client, StorageMuxClient)
        assert not isinstance(client, StorageMuxFlasherClient)
        client.host()
        client.write_local_file(image)
        client.read_local_file(tmp_path / "back")
        client.read_file(operator, "back")
        assert (tmp_path / "back").read_bytes() == operator.read("back") == IMAGE
        operator.write("other", b"other")
        client.write_file(operator, "other")
        client.read_local_file(tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == b"other"
        client.dut()
        client.off()


def test_a_full_device_is_an_error_and_the_exporter_lives(image: Path, tmp_path: Path) -> None:
    with serve(MockStorageMuxFlasher(file="/dev/full")) as client:
        with pytest.raises(DriverError, match="No space left on device"):
            client.flash(image)
        client.off()
    with serve(Opendal(scheme="fs", kwargs={"root": "/dev"})) as client:
        with pytest.raises(DriverError, match=r"write 'full': .*No space left on device") as error:
            client.write_from_path("full", image)
        assert "\n" not in str(error.value)
        assert client.exists("full")


def test_a_failed_upload_leaves_no_file_and_no_handle(
    opendal: OpendalClient, root: Path, tmp_path: Path
) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"\x1f\x8b not gzip at all" * 100)
    os.close(writer)
    file = opendal.open("new", "wb")
    with (
        open(reader, "rb") as source,
        pytest.raises(DriverError),
        opendal.resource(source, content_encoding="gzip") as handle,
    ):
        opendal.call("file_write", file.fd, handle)
    assert list(root.iterdir()) == []
    assert file.closed
    opendal.write_bytes("new", b"works")
    assert opendal.read_bytes("new") == b"works"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    import subprocess

    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], check=True)
    yield disk
    # Lazily: a mount that a failed test leaves would be in the way of all later ones.
    subprocess.run(["umount", "--lazy", disk], check=True)


def open_below(folder: Path) -> list[str]:
    """The files in *folder* that this process has open."""
    descriptors = Path("/proc/self/fd").iterdir()
    targets = [str(each.readlink()) for each in descriptors if each.is_symlink()]
    return [target for target in targets if target.startswith(str(folder))]


def test_a_full_disk_is_empty_again_after_the_error(small_disk: Path, image: Path) -> None:
    with serve(Opendal(scheme="fs", kwargs={"root": str(small_disk)})) as client:
        with pytest.raises(DriverError, match="No space left on device"):
            client.write_from_path("big", image)
        assert list(small_disk.iterdir()) == []
        client.write_bytes("small", b"fits")
        assert client.read_bytes("small") == b"fits"


def test_a_file_that_cannot_be_closed_does_not_stay_open(small_disk: Path) -> None:
    driver = Opendal(scheme="fs", kwargs={"root": str(small_disk)})
    number = driver.open("big", "wb")
    with suppress(OSError):
        for _ in range(4):
            driver._files[number].file.write(bytes(1 << 20))
    assert open_below(small_disk) != []
    # The error is kept, and with it what its traceback refers to.
    with pytest.raises(OSError, match="No space left on device") as caught:
        driver.file_close(number)
    assert open_below(small_disk) == []
    assert caught.value.__traceback__ is not None
    assert list(small_disk.iterdir()) == []


class Broken:
    """A source that breaks after its first piece."""

    pieces = 0

    def readable(self) -> bool:
        return True

    def read(self, _: int) -> bytes:
        self.pieces += 1
        if self.pieces > 1:
            raise OSError("the source broke")
        return b"half"


def test_a_source_that_breaks_leaves_no_file(opendal: OpendalClient, root: Path) -> None:
    file = opendal.open("new", "wb")
    source: Any = Broken()
    with pytest.raises(OSError, match="the source broke"), opendal.resource(source) as handle:
        opendal.call("file_write", file.fd, handle)
    assert list(root.iterdir()) == []
    assert file.closed
