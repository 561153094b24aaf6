"""`jmp login` gives a token to the lab that is meant, and to nobody who answers in its place."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jwt
import pytest
from jumpstarter.common.fingerprints import fingerprint, shown

from .world import World


@dataclass
class Impostor:
    """Answers as a login service, and takes connections as a controller."""

    port: int
    controller: socket.socket
    ca: str

    def nobody_came(self) -> bool:
        """Whether nothing was sent to the controller."""
        self.controller.setblocking(False)
        try:
            self.controller.accept()
        except BlockingIOError:
            return True
        return False


@pytest.fixture
def impostor(tmp_path: Path) -> Iterator[Impostor]:
    cert = tmp_path / "impostor.pem"
    subprocess.run(
        (
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost "
            f"-addext subjectAltName=DNS:localhost -keyout {tmp_path / 'key.pem'} -out {cert}"
        ).split(),
        check=True,
        capture_output=True,
    )
    with socket.create_server(("127.0.0.1", 0)) as controller:
        answer = json.dumps(
            {
                "grpcEndpoint": f"localhost:{controller.getsockname()[1]}",
                "namespace": "default",
                "caBundle": base64.b64encode(cert.read_bytes()).decode(),
            }
        ).encode()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield Impostor(server.server_port, controller, str(cert))
            server.shutdown()


@pytest.fixture(scope="module")
def token(world: World) -> str:
    world.ok("admin", "create", "client", "lisa")
    return world.ok("admin", "rotate", "client", "lisa").splitlines()[-1]


@pytest.fixture(scope="module")
def plain_token(token: str) -> str:
    """One that names no certificate, as those of older versions. It is not valid anywhere."""
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims.pop("jmp_ca")
    return jwt.encode(claims, "k" * 32)


def ca_of(world: World) -> Path:
    (found,) = world.home.rglob("ca/ca.pem")
    return found


def login(world: World, target: str, token: str, *options: str) -> tuple[int, str]:
    done = world.jmp("login", target, "--token", token, "--unsafe", "--nointeractive", *options)
    return done.code, done.err


def test_token_knows_its_lab(world: World, token: str) -> None:
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["jmp_ca"] == fingerprint(ca_of(world).read_text())
    assert login(world, f"lisa@localhost:{world.login_port}", token)[0] == 0


def test_impostor_gets_no_token(world: World, impostor: Impostor, token: str) -> None:
    for target in (f"lisa@localhost:{impostor.port}", f"http://localhost:{impostor.port}"):
        code, text = login(world, target, token, "--client", "lisa")
        assert code == 1
        assert (
            "has another certificate than the token says, and may be an impostor; the token is not sent"
            in text
        )
    assert impostor.nobody_came()


def test_lab_without_tls_is_not_believed_by_itself(
    world: World, impostor: Impostor, plain_token: str
) -> None:
    code, text = login(world, f"lisa@localhost:{impostor.port}", plain_token)
    assert code == 1
    assert "answered without TLS" in text
    assert shown(fingerprint(Path(impostor.ca).read_text())) in text
    assert "--fingerprint" in text
    assert "--ca FILE" in text
    assert impostor.nobody_came()


def test_fingerprint_and_file_of_the_user_count(world: World, impostor: Impostor, plain_token: str) -> None:
    ours = ca_of(world).read_text()
    bad = f"lisa@localhost:{impostor.port}"
    code, text = login(world, bad, plain_token, "--fingerprint", shown(fingerprint(ours)))
    assert (code, "another certificate than --fingerprint says" in text) == (1, True)
    code, text = login(world, bad, plain_token, "--ca", str(ca_of(world)))
    # It is asked over TLS that the impostor cannot speak for the lab.
    assert (code, "cannot be reached" in text) == (1, True)
    good = f"lisa@localhost:{world.login_port}"
    for options in (("--fingerprint", f"SHA256:{fingerprint(ours)}"), ("--ca", str(ca_of(world)))):
        code, text = login(world, good, plain_token, *options)
        # The token is sent, and it is none of the lab's.
        assert (code, "the controller refuses this client" in text) == (1, True)


def test_file_serves_without_a_host(world: World, token: str) -> None:
    target = ("--client", "lisa", "--endpoint", world.endpoint, "--ca", str(ca_of(world)))
    done = world.jmp("login", *target, "--token", token, "--unsafe", "--nointeractive")
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (("--fingerprint", "abc"), 2, "expected the 64 hexadecimal digits"),
        (("--fingerprint", "0" * 64), 2, "give HOST, or --ca FILE"),
        (("--ca", "/nowhere"), 1, "/nowhere: No such file or directory (--ca)"),
        (("--ca", "/etc/hostname"), 1, "holds no certificate in PEM"),
    ],
)
def test_wrong_options_are_told(
    world: World, token: str, options: tuple[str, ...], code: int, text: str
) -> None:
    done = world.jmp("login", "--client", "x", "--endpoint", world.endpoint, "--token", token, *options)
    assert (done.code, text in done.err) == (code, True), done.err


@pytest.mark.parametrize("body", [b"[]", b"{}", b"null", b'{"grpcEndpoint": 7}', b"\xff", b"x" * 3_000_000])
def test_answer_of_something_else_is_told_in_a_line(world: World, token: str, body: bytes) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        code, text = login(world, f"lisa@localhost:{server.server_port}", token)
        server.shutdown()
    assert (code, len(text.splitlines())) == (1, 1)
    assert f"no login service at localhost:{server.server_port}" in text
