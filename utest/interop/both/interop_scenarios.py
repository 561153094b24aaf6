"""What a client does to an exporter: written once against the documented API, run by both implementations.

`python interop_scenarios.py FOLDER` connects to the exporter of the surrounding shell for one scenario after
the other and prints a line of JSON for each. FOLDER holds `payload`, a file to upload.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import logging
import lzma
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from jumpstarter.common.utils import env
from jumpstarter.streams.encoding import Compression
from jumpstarter_driver_network.adapters import TcpPortforwardAdapter


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tree(client: Any, _: Path) -> Any:
    return sorted(client.children)


def power(client: Any, _: Path) -> Any:
    client.power.on()
    readings = [[reading.voltage, reading.current] for reading in client.power.read()]
    client.power.off()
    return readings


def serial_stream(client: Any, _: Path) -> Any:
    received = b""
    with client.serial.stream() as stream:
        stream.send(b"Hello, ")
        stream.send(b"board!")
        while len(received) < 13:
            received += stream.receive()
    return received.decode()


def serial_expect(client: Any, _: Path) -> Any:
    with client.serial.pexpect() as console:
        console.sendline("uname -a")
        console.expect("uname -(a)", timeout=60)
        return console.match.group(1).decode()


def stream_keeps_order(client: Any, _: Path) -> Any:
    sent = [f"line {number:04d}\n".encode() for number in range(500)]
    received = b""
    with client.faulty.stream("pipe") as stream:
        for chunk in sent:
            stream.send(chunk)
            received += stream.receive()
    return received == b"".join(sent).upper()


def storage_bytes(client: Any, _: Path) -> Any:
    storage = client.storage
    storage.create_dir("dir/")
    storage.write_bytes("dir/file.txt", b"content")
    storage.copy("dir/file.txt", "dir/copy.txt")
    storage.rename("dir/copy.txt", "dir/renamed.txt")
    result = {
        "read": storage.read_bytes("dir/file.txt").decode(),
        "hash": storage.hash("dir/file.txt"),
        "md5": storage.hash("dir/file.txt", "md5"),
        "list": sorted(storage.list("dir/")),
        "is_file": storage.stat("dir/file.txt").mode.is_file(),
        "length": storage.stat("dir/file.txt").content_length,
        "exists": [storage.exists("dir/renamed.txt"), storage.exists("dir/copy.txt")],
        "capability": storage.capability().read,
    }
    storage.remove_all("dir/")
    return result | {"after": storage.exists("dir/file.txt")}


def storage_upload_and_download(client: Any, folder: Path) -> Any:
    payload, back = folder / "payload", folder / "back"
    client.storage.write_from_path("uploaded", payload)
    on_exporter = client.storage.hash("uploaded")
    client.storage.read_into_path("uploaded", back)
    return [sha256(payload), on_exporter, sha256(back)]


def storage_file(client: Any, folder: Path) -> Any:
    file = client.storage.open("opened", "wb")
    file.write_bytes(b"0123456789")
    file.close()
    file = client.storage.open("opened", "rb")
    position = file.seek(3)
    rest = file.read_bytes().decode()
    result = [position, rest, file.tell(), file.readable(), file.closed]
    file.close()
    return result


def zstd(data: bytes) -> bytes:
    """Packed with the command, as either environment may lack a library for it."""
    return subprocess.run(["zstd", "--stdout"], input=data, capture_output=True, check=True).stdout


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
    "zstd": zstd,
}


def flash_plain(client: Any, folder: Path) -> Any:
    return flash_and_dump(client, folder, None)


def flash_and_dump(client: Any, folder: Path, compression: str | None) -> Any:
    """Flash the payload, sent compressed if told so, and dump it back."""
    payload, image, dumped = (
        folder / "payload",
        folder / f"image-{compression}",
        folder / f"dump-{compression}",
    )
    image.write_bytes(PACK[compression](payload.read_bytes()) if compression else payload.read_bytes())
    kind = Compression(compression) if compression else None
    client.muxflash.flash(str(image), compression=kind)
    client.muxflash.dump(str(dumped))
    return [sha256(payload), sha256(dumped)]


def flash_gzip(client: Any, folder: Path) -> Any:
    return flash_and_dump(client, folder, "gzip")


def flash_xz(client: Any, folder: Path) -> Any:
    return flash_and_dump(client, folder, "xz")


def flash_bz2(client: Any, folder: Path) -> Any:
    return flash_and_dump(client, folder, "bz2")


def flash_zstd(client: Any, folder: Path) -> Any:
    return flash_and_dump(client, folder, "zstd")


def shell(client: Any, _: Path) -> Any:
    """What the three commands print and end with, from the chunks that come over the wire."""
    calls: dict[str, tuple[Any, ...]] = {
        "hello": ({}, "world"),
        "environment": ({"GREETING": "hi there"},),
        "fails": ({},),
    }
    found = {}
    for method, arguments in calls.items():
        chunks = list(client.shell.streamingcall("call_method", method, *arguments))
        out, err = ("".join(chunk[index] or "" for chunk in chunks) for index in (0, 1))
        found[method] = [out, err, chunks[-1][2]]
    return found


def shell_client(client: Any, _: Path) -> Any:
    """What the shell client makes of it: a tuple as documented, or upstream's exit code."""
    return [client.shell.hello("world"), client.shell.fails()]


def attempt(function: Callable[[], Any]) -> list[Any]:
    """The classes that the error of a call can be caught as, and its text."""
    try:
        function()
    except Exception as error:  # noqa: BLE001 - the test asserts on whatever comes
        return [[base.__name__ for base in type(error).__mro__], str(error)]
    return ["no error"]


def errors(client: Any, _: Path) -> Any:
    faulty = client.faulty
    methods = ["value_error", "not_implemented", "runtime_error", "timeout_error", "hidden", "no_such_method"]
    found = {method: attempt(partial(faulty.do, method)) for method in methods}
    received: list[Any] = []
    found["breaks_after"] = attempt(lambda: received.extend(faulty.stream_of("breaks_after", 3)))
    alive = faulty.do("echo", "still here")
    return {"found": found, "received": received, "alive": alive}


def values(client: Any, _: Path) -> Any:
    sent = [
        None,
        True,
        0,
        1,
        -7,
        2**40,
        1.5,
        "",
        "grüße ✓",
        [],
        [1, [2, []]],
        {},
        {"a": {"b": [None, False, "c"]}},
    ]
    return [[value, client.faulty.do("echo", value), client.faulty.do("echo_async", value)] for value in sent]


def items(client: Any, _: Path) -> Any:
    return [sum(client.faulty.stream_of(method, 1000)) for method in ("numbers", "numbers_async")]


def logs(client: Any, _: Path) -> Any:
    """Whether a log line of a driver arrives through `log_stream`."""
    seen = threading.Event()

    class Watch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "a line for the log" in record.getMessage():
                seen.set()

    for logger in (logging.getLogger(), client.logger):
        logger.setLevel(logging.DEBUG)
        logger.addHandler(Watch())
    with client.log_stream():
        # The subscription is made in the background and tells nobody: write lines until one arrives.
        for _attempt in range(50):
            client.faulty.do("log", "a line for the log")
            if seen.wait(0.2):
                return True
    return False


def send_all(peer: socket.socket, data: bytes) -> None:
    peer.sendall(data)
    peer.shutdown(socket.SHUT_WR)


def port_forward(client: Any, folder: Path) -> Any:
    data = (folder / "payload").read_bytes()[: 1 << 20]
    received = b""
    with (
        TcpPortforwardAdapter(client=client.tcp) as address,
        socket.create_connection(address[:2], timeout=30) as peer,
    ):
        sender = threading.Thread(target=send_all, args=(peer, data))
        sender.start()
        while chunk := peer.recv(65536):
            received += chunk
        sender.join()
    return [len(data), received == data]


def many_connections(client: Any, _: Path) -> Any:
    answers = []
    with TcpPortforwardAdapter(client=client.tcp) as address:
        for number in range(20):
            with socket.create_connection(address[:2], timeout=30) as peer:
                peer.sendall(str(number).encode())
                answers.append(int(peer.recv(100)))
    return answers


SCENARIOS: tuple[Callable[[Any, Path], Any], ...] = (
    *(tree, power, serial_stream, serial_expect, stream_keeps_order),
    *(storage_bytes, storage_upload_and_download, storage_file),
    *(flash_plain, flash_gzip, flash_xz, flash_bz2, flash_zstd),
    *(shell, shell_client, errors, values, items, logs, port_forward, many_connections),
)


def main(folder: str) -> None:
    for scenario in SCENARIOS:
        outcome: dict[str, Any] = {"scenario": scenario.__name__}
        try:
            with env() as client:
                outcome["result"] = scenario(client, Path(folder))
        except Exception:  # noqa: BLE001 - the test of this scenario shows it
            outcome["error"] = traceback.format_exc()
        print()
        print(json.dumps(outcome), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
