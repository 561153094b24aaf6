"""Resources behind presigned URLs, read and written by a driver against a real HTTP server."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from jumpstarter.common.exceptions import DriverError, DriverInvalidArgument
from jumpstarter.common.fetching import FetchPolicy
from jumpstarter.common.presigned import redact
from jumpstarter.common.resources import ClientStreamResource, PresignedRequestResource, parse_resource
from jumpstarter.common.utils import serve
from jumpstarter.driver import Driver, export

DATA = bytes(range(256)) * 12_000  # three reads


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.seen.append(("GET", self.path, {k.lower(): v for k, v in self.headers.items()}))
        path = self.path.partition("?")[0]
        if path.startswith("/redirect/"):
            self._answer(302, headers={"Location": self.server.targets[path]})
        elif path == "/forever":
            self._answer(307, headers={"Location": "/forever"})
        elif path == "/cut":
            self._answer(200, DATA[:1000], length=len(DATA))
            self.close_connection = True
        elif path in self.server.files:
            self._answer(200, self.server.files[path])
        else:
            self._answer(404)

    def do_PUT(self) -> None:
        self.server.seen.append(("PUT", self.path, {k.lower(): v for k, v in self.headers.items()}))
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.startswith("/forbidden"):
            self._answer(403)
            return
        self.server.files[self.path.partition("?")[0]] = body
        self._answer(201)

    def _answer(
        self,
        status: int,
        body: bytes = b"",
        *,
        length: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Not on standard error."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {"/image": DATA, "/empty": b"", "/a%2Fb%20c": b"escaped"}
        self.targets: dict[str, str] = {}
        self.seen: list[tuple[str, str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def other(server: Server) -> Iterator[Server]:
    with Server() as other:
        thread = threading.Thread(target=other.serve_forever, args=(0.02,))
        thread.start()
        yield other
        other.shutdown()
        thread.join()


@dataclass(kw_only=True)
class Store(Driver):
    content: bytes = b""
    writes: int = field(default=3)

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    @export
    def read(self, handle: dict[str, Any]) -> int:
        self.content = b""
        with self.resource_blocking(handle, timeout=60) as stream:
            for chunk in stream:
                self.content += chunk
        return len(self.content)

    @export
    async def read_async(self, handle: dict[str, Any]) -> int:
        self.content = b""
        async with self.resource(handle, timeout=60) as stream:
            async for chunk in stream:
                self.content += chunk
        return len(self.content)

    @export
    def write(self, handle: dict[str, Any]) -> None:
        with self.resource_blocking(handle, timeout=60) as stream:
            for _ in range(self.writes):
                stream.write(DATA)

    @export
    async def write_async(self, handle: dict[str, Any]) -> None:
        async with self.resource(handle, timeout=60) as stream:
            for _ in range(self.writes):
                await stream.send(DATA)

    @export
    def fail_half_way(self, handle: dict[str, Any]) -> None:
        with self.resource_blocking(handle, timeout=60) as stream:
            stream.write(DATA)
            raise RuntimeError("the device is gone")


@dataclass
class Board:
    driver: Store
    client: Any


@pytest.fixture
def board() -> Iterator[Board]:
    driver = Store()
    with serve(driver) as client:
        yield Board(driver, client)


def handle(url: str, method: str = "GET", **headers: str) -> dict[str, Any]:
    return {"kind": "presigned_request", "url": url, "method": method, "headers": headers}


READS = pytest.mark.parametrize("method", ["read", "read_async"])
WRITES = pytest.mark.parametrize("method", ["write", "write_async"])


@READS
def test_a_driver_reads_what_a_url_names(board: Board, server: Server, method: str) -> None:
    assert board.client.call(method, handle(f"{server.url}/image?sig=1", Authorization="Bearer x")) == len(
        DATA
    )
    assert board.driver.content == DATA
    verb, path, headers = server.seen[0]
    assert (verb, path, headers["authorization"]) == ("GET", "/image?sig=1", "Bearer x")


@READS
def test_an_empty_body_is_empty(board: Board, server: Server, method: str) -> None:
    assert board.client.call(method, handle(f"{server.url}/empty")) == 0


@READS
def test_a_body_that_is_cut_is_an_error_and_no_short_image(board: Board, server: Server, method: str) -> None:
    with pytest.raises(DriverError, match=r"/cut broke off: .*bytes are missing"):
        board.client.call(method, handle(f"{server.url}/cut"))


@WRITES
def test_a_driver_writes_to_a_url(board: Board, server: Server, method: str) -> None:
    board.client.call(method, handle(f"{server.url}/new?sig=1", "PUT", **{"x-amz-meta": "m"}))
    assert server.files["/new"] == DATA * 3
    verb, path, headers = server.seen[0]
    assert (verb, path, headers["x-amz-meta"]) == ("PUT", "/new?sig=1", "m")
    assert headers["content-length"] == str(3 * len(DATA))


def test_writing_nothing_stores_an_empty_object(board: Board, server: Server) -> None:
    board.driver.writes = 0
    board.client.call("write", handle(f"{server.url}/nothing", "PUT"))
    assert server.files["/nothing"] == b""


def test_a_driver_that_fails_half_way_stores_nothing(board: Board, server: Server) -> None:
    with pytest.raises(DriverError, match="the device is gone"):
        board.client.call("fail_half_way", handle(f"{server.url}/half", "PUT"))
    assert server.seen == []


@WRITES
def test_a_refused_upload_fails_the_call_without_telling_the_query(
    board: Board, server: Server, method: str
) -> None:
    with pytest.raises(DriverError, match="status 403") as caught:
        board.client.call(method, handle(f"{server.url}/forbidden?X-Signature=secret", "PUT"))
    assert "secret" not in str(caught.value)
    assert "/forbidden?..." in str(caught.value)


def test_a_missing_object_fails_the_call_without_telling_the_query(board: Board, server: Server) -> None:
    with pytest.raises(DriverError, match="status 404 Not Found: expected 2xx") as caught:
        board.client.call("read", handle(f"{server.url}/none?X-Signature=secret"))
    assert "secret" not in str(caught.value)


def test_a_server_that_is_not_there_fails_the_call(board: Board, server: Server) -> None:
    with pytest.raises(DriverError, match=r"GET http://127.0.0.1:1/x failed: .*refused"):
        board.client.call("read", handle("http://127.0.0.1:1/x"))


def test_redirects_are_followed_with_their_escapes(board: Board, server: Server) -> None:
    server.targets["/redirect/1"] = "/redirect/2"
    server.targets["/redirect/2"] = f"{server.url}/a%2Fb%20c?x=%2B"
    assert board.client.call("read", handle(f"{server.url}/redirect/1")) == len(b"escaped")
    assert server.seen[-1][1] == "/a%2Fb%20c?x=%2B"


def test_secret_headers_follow_within_an_origin_only(board: Board, server: Server, other: Server) -> None:
    secrets = {
        "Authorization": "Bearer s",
        "Cookie": "c",
        "X-Amz-Token": "t",
        "x-ms-key": "k",
        "x-goog-id": "g",
    }
    server.targets["/redirect/near"] = "/image"
    server.targets["/redirect/far"] = f"{other.url}/image"
    board.client.call("read", handle(f"{server.url}/redirect/near", Accept="a/b", **secrets))
    assert {name.lower() for name in secrets} <= set(server.seen[-1][2])
    board.client.call("read", handle(f"{server.url}/redirect/far", Accept="a/b", **secrets))
    headers = other.seen[-1][2]
    assert headers["accept"] == "a/b"
    assert {name.lower() for name in secrets} & set(headers) == set()


def test_a_redirect_to_a_file_is_refused(board: Board, server: Server) -> None:
    server.targets["/redirect/file"] = "file:///etc/passwd"
    with pytest.raises(DriverError):
        board.client.call("read", handle(f"{server.url}/redirect/file"))
    assert board.driver.content == b""


def test_redirects_without_end_end(board: Board, server: Server) -> None:
    with pytest.raises(DriverError, match="status 307") as caught:
        board.client.call("read", handle(f"{server.url}/forever"))
    assert "\n" not in str(caught.value)
    assert len(server.seen) <= 11


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"url": "ftp://h/x"}, "expected an http:// or https:// address"),
        ({"url": None}, "expected an http:// or https:// address"),
        ({"method": "POST"}, "expected 'GET' or 'PUT'"),
        ({"headers": "x"}, "headers that are no dictionary"),
        ({"kind": "other"}, "unknown kind 'other'"),
        ({"kind": "client_stream", "uuid": "x"}, "expected a UUID"),
    ],
)
def test_a_malformed_handle_is_refused(board: Board, change: dict[str, Any], text: str) -> None:
    with pytest.raises(DriverInvalidArgument, match=text):
        board.client.call("read", {**handle("http://h/x"), **change})


def test_something_that_is_no_handle_is_refused(board: Board) -> None:
    with pytest.raises(DriverInvalidArgument):
        board.client.call("read", "image.bin")


def test_handles_have_one_wire_form() -> None:
    presigned = PresignedRequestResource(url="https://h/x", method="GET")
    assert presigned.model_dump(mode="json") == handle("https://h/x")
    assert parse_resource(presigned.model_dump()) == presigned
    wire = {
        "kind": "client_stream",
        "uuid": "12345678-1234-5678-1234-567812345678",
        "x_jmp_content_encoding": "xz",
    }
    stream = parse_resource(wire)
    assert isinstance(stream, ClientStreamResource)
    assert stream.model_dump(mode="json") == wire


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:pw@host:8/a?sig=1", "https://host:8/a?..."),
        ("http://host/a", "http://host/a"),
    ],
)
def test_addresses_are_shown_without_secrets(url: str, shown: str) -> None:
    assert redact(url) == shown


def test_a_compressed_object_is_taken_as_it_is(board: Board, server: Server) -> None:
    """A presigned request has no way to name an encoding."""
    server.files["/image.gz"] = gzip.compress(DATA)
    board.client.call("read", handle(f"{server.url}/image.gz"))
    assert board.driver.content == server.files["/image.gz"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "0.0.0.0", "[::ffff:127.0.0.1]"])
def test_an_exporter_of_a_lab_does_not_connect_to_its_own_machine(server: Server, host: str) -> None:
    url = f"http://{host}:{server.server_address[1]}"
    with serve_with(FetchPolicy()) as client:
        for method, kind in (("read", "GET"), ("write", "PUT")):
            with pytest.raises(
                DriverError, match=r"does not connect to .* for clients; the key fetch\.allow"
            ):
                client.call(method, {"kind": "presigned_request", "url": f"{url}/image", "method": kind})
    assert server.seen == []


def test_a_redirect_leads_to_no_host_that_is_not_allowed(server: Server, other: Server) -> None:
    server.targets["/redirect/away"] = f"http://127.0.0.2:{other.server_address[1]}/image"
    with serve_with(FetchPolicy(("127.0.0.1",))) as client:
        assert client.call(
            "read", {"kind": "presigned_request", "url": f"{server.url}/image", "method": "GET"}
        )
        with pytest.raises(DriverError, match=r"does not connect to 127\.0\.0\.2"):
            client.call(
                "read", {"kind": "presigned_request", "url": f"{server.url}/redirect/away", "method": "GET"}
            )
    assert other.seen == []


@contextmanager
def serve_with(policy: FetchPolicy) -> Iterator[Any]:
    from jumpstarter.client.client import connect_path
    from jumpstarter.connection import local_session

    with (
        local_session(Store(), fetch_policy=policy) as path,
        connect_path(path, allow=[], unsafe=True) as client,
    ):
        yield client
