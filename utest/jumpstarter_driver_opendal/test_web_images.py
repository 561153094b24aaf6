"""Images behind URLs: what servers make of them on the way, and what must not reach a board."""

from __future__ import annotations

import bz2
import gzip
import importlib.util
import lzma
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import zstandard
from jumpstarter.client.core import DriverError
from jumpstarter.common.exceptions import ArgumentError, JumpstarterException
from jumpstarter.common.utils import serve
from jumpstarter_driver_opendal.client import FlasherClient, OpendalClient
from jumpstarter_driver_opendal.driver import MockFlasher, MockStorageMuxFlasher

_spec = importlib.util.spec_from_file_location(
    "webserver", Path(__file__).parents[1] / "jumpstarter" / "webserver.py"
)
assert _spec and _spec.loader
webserver = importlib.util.module_from_spec(_spec)
sys.modules["webserver"] = webserver
_spec.loader.exec_module(webserver)

IMAGE = os.urandom(300_000) + b"\0" * (3 << 20) + b"end"


@pytest.fixture
def web() -> Iterator[Any]:
    with webserver.raw_server() as server:
        yield server


@pytest.fixture(params=["exporter", "client"])
def fetch(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], bytes]]:
    """Flash a URL, fetched by the exporter or by the client; gives what is on the device then."""
    with serve(MockFlasher()) as client:

        def flash(url: str) -> bytes:
            if request.param == "client":
                client.flash(url)
            else:
                handle = {"kind": "presigned_request", "headers": {}, "url": url, "method": "GET"}
                client.call("flash", handle, None)
            client.dump(tmp_path / "dump")
            return (tmp_path / "dump").read_bytes()

        flash.client = client  # type: ignore[attr-defined]
        yield flash


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZIP": lambda data: gzip.compress(data[:1000]) + gzip.compress(data[1000:]),
    "deflate": zlib.compress,
    "Deflate": raw_deflate,
    "zstd": zstandard.compress,
    "identity": bytes,
    "": bytes,
    "deflate, gzip": lambda data: gzip.compress(zlib.compress(data)),
    "gzip, identity, gzip": lambda data: gzip.compress(gzip.compress(data)),
}


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_content_encoding_is_undone(fetch: Any, web: Any, coding: str, chunked: bool) -> None:
    body = CODINGS[coding](IMAGE)
    if chunked:
        pieces = [body[i : i + 70_000] for i in range(0, len(body), 70_000)]
        framed = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        web.answer("/img", framed, f"Content-Encoding: {coding}", "Transfer-Encoding: chunked", length=None)
    else:
        web.answer("/img", body, f"Content-Encoding: {coding}")
    assert fetch(f"{web.url}/img") == IMAGE


def test_brotli_is_undone_where_its_library_is(fetch: Any, web: Any) -> None:
    brotli = pytest.importorskip("brotli", minversion="1.2")
    packed = brotli.compress(IMAGE)
    web.answer("/img", packed, "Content-Encoding: br")
    assert fetch(f"{web.url}/img") == IMAGE
    for broken in (packed[:-5], packed[: len(packed) // 2], b"no brotli" * 100):
        web.answer("/img", broken, "Content-Encoding: br")
        with pytest.raises(DriverError, match="cannot be decoded"):
            fetch(f"{web.url}/img")


@pytest.mark.parametrize("coding", ["br", "compress", "pack200-gzip", "aes128gcm", "gzip, exi"])
def test_an_unknown_content_encoding_leaves_the_device_as_it_is(fetch: Any, web: Any, coding: str) -> None:
    if coding == "br" and importlib.util.find_spec("brotli"):
        pytest.skip("this machine can undo it")
    web.answer("/good", b"good image")
    assert fetch(f"{web.url}/good") == b"good image"
    web.answer("/img", IMAGE, f"Content-Encoding: {coding}")
    with pytest.raises(DriverError, match=r"Content-Encoding is '.*', which cannot be undone here"):
        fetch(f"{web.url}/img")
    with pytest.raises(DriverError, match="404"):
        fetch(f"{web.url}/nosuch")
    assert dump(fetch.client) == b"good image"


@pytest.mark.parametrize(
    "headers",
    [
        ("Content-Encoding: " + ", ".join(["zstd"] * 4),),
        ("Content-Encoding: " + ",".join(["gzip"] * 10_000),),
        ("Content-Encoding: gzip, gzip",) * 2,
    ],
)
def test_a_body_with_codings_in_codings_takes_no_memory(
    fetch: Any, web: Any, headers: tuple[str, ...]
) -> None:
    web.answer("/img", IMAGE, *headers)
    with pytest.raises(DriverError, match=r"its Content-Encoding has \d+ codings, expected at most 3"):
        fetch(f"{web.url}/img")


def dump(client: FlasherClient) -> bytes:
    with TemporaryDirectory() as folder:
        client.dump(Path(folder) / "dump")
        return (Path(folder) / "dump").read_bytes()


CUT: dict[str, tuple[bytes, tuple[str, ...], str, int | None]] = {
    "shorter than announced": (IMAGE[:1000], (), "200 OK", len(IMAGE)),
    "gzip that is cut": (gzip.compress(IMAGE)[:-20], ("Content-Encoding: gzip",), "200 OK", -1),
    "gzip without its last bytes": (gzip.compress(IMAGE)[:-4], ("Content-Encoding: gzip",), "200 OK", -1),
    "gzip that is not": (IMAGE, ("Content-Encoding: gzip",), "200 OK", -1),
    "deflate that is cut": (zlib.compress(IMAGE)[:-200], ("Content-Encoding: deflate",), "200 OK", -1),
    "chunks that end early": (b"5\r\nhello\r\n", ("Transfer-Encoding: chunked",), "200 OK", None),
    "a chunk that is cut": (b"ffff\r\nhello", ("Transfer-Encoding: chunked",), "200 OK", None),
    "a part": (IMAGE, ("Content-Range: bytes 0-99/200",), "206 Partial Content", -1),
    "no content": (b"", (), "204 No Content", None),
    "two lengths": (b"image", ("Content-Length: 4",), "200 OK", -1),
    "a length that is none": (b"image", ("Content-Length: five",), "200 OK", None),
    "an unknown transfer encoding": (b"image", ("Transfer-Encoding: gzip",), "200 OK", None),
    "nothing": (b"", (), "200 OK", -1),
    "nothing, compressed": (gzip.compress(b""), ("Content-Encoding: gzip",), "200 OK", -1),
}


@pytest.mark.parametrize("kind", CUT)
def test_a_body_that_is_not_whole_is_an_error(fetch: Any, web: Any, kind: str) -> None:
    body, headers, status, length = CUT[kind]
    web.answer("/img", body, *headers, status=status, length=length)
    with pytest.raises(JumpstarterException) as error:
        fetch(f"{web.url}/img")
    assert "\n" not in str(error.value)


def test_a_redirect_is_followed_and_its_encoding_undone(fetch: Any, web: Any) -> None:
    web.answer("/a%20b", b"", "Location: /c d?x=\xfc", status="302 Found")
    web.answer("/c%20d?x=%C3%BC", gzip.compress(IMAGE), "Content-Encoding: gzip")
    web.answers["/c%20d?x=%FC"] = web.answers["/c%20d?x=%C3%BC"]
    assert fetch(f"{web.url}/a b") == IMAGE


def test_a_user_in_an_address_is_asked_as_and_shown_nowhere(
    fetch: Any, web: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    web.answer("/gr%C3%B6%C3%9Fe%20x.img", IMAGE)
    host = web.url.removeprefix("http://")
    assert fetch(f"http://us%20er:sec%3Aret@{host}/größe x.img#f") == IMAGE
    assert "Authorization: Basic dXMgZXI6c2VjOnJldA==" in web.seen[-1]
    for path, status in (("denied", "401 Unauthorized"), ("gone", "404 Not Found"), ("cut", "200 OK")):
        web.answer(f"/{path}", b"x", "WWW-Authenticate: Basic realm=r", status=status, length=5)
        with pytest.raises(DriverError) as error:
            fetch(f"http://user:secret@{host}/{path}?token=secret")
        assert "secret" not in str(error.value)
        assert f"http://{host}/{path}" in str(error.value)
    output = capfd.readouterr()
    assert "secret" not in caplog.text + output.out + output.err
    assert "sec:ret" not in caplog.text + output.out + output.err


def test_a_password_goes_to_no_other_host(fetch: Any, web: Any) -> None:
    with webserver.raw_server() as other:
        other.answer("/img", IMAGE)
        web.answer("/img", b"", f"Location: {other.url}/img", status="302 Found")
        assert fetch(f"http://user:secret@{web.url.removeprefix('http://')}/img") == IMAGE
        assert "Authorization" in web.seen[-1]
        assert "Authorization" not in other.seen[-1]


PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": zstandard.compress,
}


@pytest.mark.parametrize("suffix", PACK)
def test_a_compressed_image_behind_a_url_is_decompressed(fetch: Any, web: Any, suffix: str) -> None:
    web.answer(f"/a.img{suffix}?x=1", PACK[suffix](IMAGE))
    assert fetch(f"{web.url}/a.img{suffix}?x=1") == IMAGE


def test_a_server_that_tells_the_compression_of_the_file_as_its_own(fetch: Any, web: Any) -> None:
    web.answer("/a.img.gz", gzip.compress(IMAGE), "Content-Encoding: gzip", "Content-Type: application/gzip")
    assert fetch(f"{web.url}/a.img.gz") == IMAGE
    with serve(MockFlasher()) as client:
        client.flash(f"{web.url}/a.img.gz", compression="gzip")
        assert dump(client) == IMAGE


def test_an_error_page_in_place_of_an_image_is_not_flashed(fetch: Any, web: Any) -> None:
    web.answer("/a.img.xz", b"<html>Please log in</html>")
    with pytest.raises(JumpstarterException, match="is not xz data, as its name tells"):
        fetch(f"{web.url}/a.img.xz")
    web.answer("/latest", lzma.compress(IMAGE))
    with pytest.raises(JumpstarterException, match="begins like xz data"):
        fetch(f"{web.url}/latest")


@pytest.fixture(params=[MockFlasher, MockStorageMuxFlasher])
def flasher(request: pytest.FixtureRequest) -> Iterator[FlasherClient]:
    with serve(request.param()) as client:
        yield client


@pytest.mark.parametrize("suffix", PACK)
def test_a_compressed_local_image_is_decompressed(
    flasher: FlasherClient, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"a.img{suffix}"
    packed = PACK[suffix](IMAGE)
    path.write_bytes(packed)
    flasher.flash(path)
    assert dump(flasher) == IMAGE
    flasher.flash(path, compression="none")
    assert dump(flasher) == packed
    with pytest.raises(ArgumentError, match=r"begins like .* data, which its name does not tell"):
        path.rename(tmp_path / "a.img")
        flasher.flash(tmp_path / "a.img")
    assert dump(flasher) == packed


def test_an_empty_image_leaves_the_device_as_it_is(flasher: FlasherClient, tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(b"good")
    (tmp_path / "empty").touch()
    (tmp_path / "empty.gz").write_bytes(gzip.compress(b""))
    flasher.flash(tmp_path / "good")
    with pytest.raises(ArgumentError, match="'empty' is empty"):
        flasher.flash(tmp_path / "empty")
    with pytest.raises(DriverError, match="is empty"):
        flasher.flash(tmp_path / "empty.gz")
    assert dump(flasher) == b"good"


def test_other_files_are_uploaded_as_they_are(
    opendal: OpendalClient, root: Path, tmp_path: Path, web: Any
) -> None:
    for name, content in (
        ("a.gz", gzip.compress(IMAGE)),
        ("a", gzip.compress(b"x")),
        ("b.xz", b"no xz"),
        ("c", b""),
    ):
        (tmp_path / name).write_bytes(content)
        opendal.write_from_path("copy", tmp_path / name)
        assert (root / "copy").read_bytes() == content
        web.answer(f"/{name}", content)
        opendal.write_from_path("copy", f"{web.url}/{name}")
        assert (root / "copy").read_bytes() == content
