"""The simulated board through its clients, over a session."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from jumpstarter.common.exceptions import (
    ArgumentError,
    ConfigurationError,
    DriverError,
    DriverInvalidArgument,
)
from jumpstarter.common.utils import serve
from jumpstarter_driver_simulated.driver import SimulatedBoard
from jumpstarter_driver_simulated.image import Image, make_image

FAST = 50.0


@pytest.fixture
def client() -> Generator[Any, None, None]:
    with serve(SimulatedBoard(speed=FAST)) as client:
        yield client


@contextmanager
def console(client: Any) -> Generator[Any, None, None]:
    """A console with `until(text)` and `send(text)`."""
    with client.serial.stream() as stream:
        yield Reader(stream)


class Reader:
    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.unread = b""

    def until(self, text: str) -> str:
        wanted = text.encode()
        while wanted not in self.unread:
            self.unread += self.stream.receive()
        end = self.unread.index(wanted) + len(wanted)
        seen, self.unread = self.unread[:end], self.unread[end:]
        return seen.decode()

    def send(self, text: str) -> None:
        self.stream.send(text.encode())


def test_board_has_power_serial_and_storage(client: Any) -> None:
    assert set(client.children) == {"power", "serial", "storage"}


def test_log_of_the_boot_can_be_read_after_power_on(client: Any) -> None:
    client.power.on()
    log = client.serial.read_until("boot complete")
    assert "U-Boot" in (log.decode() if isinstance(log, bytes) else log)


def test_console_that_is_open_before_power_on_hears_everything(client: Any) -> None:
    with console(client) as serial:
        client.power.on()
        assert serial.until("login: ").startswith("\r\nU-Boot")
        serial.send("root\r")
        serial.until("# ")
        serial.send("uname -r\r")
        assert Image().kernel in serial.until("# ")


def test_boot_stops_at_a_key_and_goes_on(client: Any) -> None:
    with console(client) as serial:
        client.power.on()
        serial.send(" ")
        serial.until("=> ")
        serial.send("version\r")
        assert "U-Boot" in serial.until("=> ")
        serial.send("boot\r")
        serial.until("boot complete")


def test_two_consoles_hear_the_same(client: Any) -> None:
    with console(client) as first, console(client) as second:
        client.power.on()
        assert first.until("login: ") == second.until("login: ")
        second.send("root\r")
        assert "root" in first.until("# ")


def test_power_is_measured(client: Any) -> None:
    (off,) = client.power.read()
    assert (off.voltage, off.current) == (0, 0)
    client.power.on()
    client.serial.read_until("login: ")
    (on,) = client.power.read()
    assert 4.9 < on.voltage < 5.0 and 0.3 < on.current < 0.5
    client.power.off()
    (off,) = client.power.read()
    assert (off.voltage, off.current) == (0, 0)


def boot(client: Any, until: str) -> str:
    with console(client) as serial:
        client.power.on()
        log = serial.until(until)
    client.power.off()
    return log


def flash(client: Any, data: bytes, folder: Path) -> None:
    path = folder / "card.img"
    path.write_bytes(data)
    client.storage.flash(str(path))


def test_flashed_image_decides_what_boots(client: Any, tmp_path: Path) -> None:
    flash(client, make_image(Image(version="2.0", kernel="6.6.6"), payload_size=3 << 20), tmp_path)
    log = boot(client, "login: ")
    assert "Simulated Linux 2.0" in log and "Linux version 6.6.6" in log


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\0" * 4096, "No bootable device"),
        (b"garbage", "Bad magic"),
        (make_image()[:-1], "Bad data CRC"),
    ],
    ids=["erased", "garbage", "cut"],
)
def test_storage_that_does_not_boot(client: Any, data: bytes, words: str, tmp_path: Path) -> None:
    flash(client, data, tmp_path)
    assert words in boot(client, "=> ")


def test_an_empty_image_leaves_the_card_as_it_is(client: Any, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"'card\.img' is empty"):
        flash(client, b"", tmp_path)
    client.storage.host()
    with pytest.raises(DriverInvalidArgument, match="is empty"), client.storage.sending([]) as handle:
        client.storage.write(handle)
    client.storage.dut()
    assert "Linux" in boot(client, "login: ")


def test_board_sees_no_card_at_the_host(client: Any) -> None:
    for side in (client.storage.host, client.storage.off):
        side()
        assert "no card present" in boot(client, "=> ")
    client.storage.dut()
    assert "boot complete" in boot(client, "login: ")


def test_dump_gives_back_what_was_flashed(client: Any, tmp_path: Path) -> None:
    data = make_image(payload_size=3 << 20)
    flash(client, data, tmp_path)
    client.storage.dump(str(tmp_path / "dumped.img"))
    assert (tmp_path / "dumped.img").read_bytes() == data


def test_board_comes_with_an_image_that_can_be_dumped(client: Any, tmp_path: Path) -> None:
    client.storage.dump(str(tmp_path / "dumped.img"))
    assert (tmp_path / "dumped.img").read_bytes() == make_image()


def test_writing_needs_the_card_at_the_host(client: Any, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x")
    client.storage.dut()
    with pytest.raises(DriverError, match="connect it to the host first"):
        client.storage.write_local_file(str(tmp_path / "x"))
    assert "boot complete" in boot(client, "login: ")


def test_write_local_file(client: Any, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(make_image(Image(version="3")))
    client.storage.host()
    client.storage.write_local_file(str(tmp_path / "x"))
    client.storage.dut()
    assert "Simulated Linux 3" in boot(client, "login: ")


def test_reset_brings_back_the_first_card(tmp_path: Path) -> None:
    board = SimulatedBoard(speed=FAST)
    with serve(board) as client:
        flash(client, b"garbage", tmp_path)
        client.storage.host()
        client.power.on()
        board.reset()
        (reading,) = client.power.read()
        assert reading.current == 0
        assert "boot complete" in boot(client, "login: ")


def test_configured_board(tmp_path: Path) -> None:
    image = tmp_path / "first.img"
    image.write_bytes(make_image(Image(version="9")))
    board = SimulatedBoard(speed=FAST, bootdelay=0, hostname="rig", password="pw", image=str(image))
    with serve(board) as client, console(client) as serial:
        client.power.on()
        assert "Simulated Linux 9 rig" in serial.until("rig login: ")
        serial.send("root\r")
        serial.until("Password: ")
        serial.send("pw\r")
        serial.until("# ")


def test_empty_card() -> None:
    with serve(SimulatedBoard(speed=FAST, image="empty")) as client:
        assert "No bootable device" in boot(client, "=> ")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"speed": 0}, "speed is 0, expected a number above 0"),
        ({"speed": -1.0}, "speed is -1.0"),
        ({"serial_buffer": 0}, "serial_buffer is 0, expected 1 or more"),
        ({"image": "/nowhere/card.img"}, "expected builtin, empty or a file"),
    ],
)
def test_bad_configuration(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        SimulatedBoard(**config)


def test_closing_leaves_no_thread_and_closes_the_card() -> None:
    before = set(threading.enumerate())
    board = SimulatedBoard(speed=FAST)
    assert set(threading.enumerate()) <= before
    board.children["power"].on()
    board.close()
    board.close()
    # A thread of an earlier test may have ended meanwhile; none may have come.
    assert set(threading.enumerate()) <= before
    with pytest.raises(ValueError, match="closed file"):
        board.children["storage"].host()
        board.children["storage"].dut()


def test_flood_of_input_does_not_stop_the_other_clients(client: Any) -> None:
    with console(client) as first, console(client) as second:
        client.power.on()
        first.until("login: ")
        second.until("login: ")
        first.send("x" * 300_000 + "\x15root\r")
        assert next(iter(client.power.read())).current > 0
        assert second.until("# ").endswith("root\r\n# ")
