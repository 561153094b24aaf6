"""A client process that is killed leaves nothing behind on the exporter."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jumpstarter.client.client import connect_path
from jumpstarter.connection import local_session
from jumpstarter_driver_composite.driver import Composite
from jumpstarter_driver_opendal.driver import Opendal
from jumpstarter_driver_shell.driver import Shell
from jumpstarter_testing.eventually import eventually

CLIENT = """
import sys, time
from jumpstarter.client.client import connect_path

def endless():
    while True:
        yield b"x" * 65536

with connect_path(sys.argv[1], allow=[], unsafe=True) as client:
    print("connected", flush=True)
    {action}
"""


@contextmanager
def client_process(path: str, action: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", CLIENT.format(action=action), path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "connected\n"
            yield process
        finally:
            process.kill()


def test_an_upload_of_a_killed_client_leaves_no_file(tmp_path: Path) -> None:
    upload = """
    with client.fs.open("new", "wb") as file, client.fs.sending(endless()) as handle:
        client.fs.call("file_write", file.fd, handle)
"""
    file = tmp_path / "new"
    driver = Opendal(scheme="fs", kwargs={"root": str(tmp_path)})
    with local_session(Composite(children={"fs": driver})) as path:
        with client_process(path, upload):
            eventually(lambda: file.is_file() and file.stat().st_size > 1 << 20, timeout=60)
        eventually(lambda: not file.exists(), timeout=60)
        with connect_path(path, allow=[], unsafe=True) as client:
            client.fs.write_bytes("next", b"works")
    assert (tmp_path / "next").read_bytes() == b"works"


def test_a_shell_method_of_a_killed_client_ends(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.touch()
    busy = tmp_path / "busy"
    methods = {
        "hold": f"flock {lock} sh -c 'touch {busy}; sleep 600'",
        "free": f"flock --wait 60 {lock} echo got it",
    }
    with local_session(Composite(children={"sh": Shell(methods=methods)})) as path:
        with client_process(path, "client.sh.hold()"):
            eventually(busy.exists, timeout=60)
        with connect_path(path, allow=[], unsafe=True) as client:
            assert client.sh.free() == ("got it\n", "", 0)
