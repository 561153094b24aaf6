"""The settings of a serial line and the break, at a port that speaks RFC 2217 and at a pseudo terminal."""

from __future__ import annotations

import termios
from typing import Any

import pytest
from click.testing import CliRunner
from jumpstarter.client.core import DriverInvalidArgument, DriverMethodNotImplemented
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.common.utils import serve
from jumpstarter_driver_pyserial.driver import PySerial
from jumpstarter_driver_pyserial.settings import LineSettings

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:serial.rfc2217")

SEVEN_EVEN_TWO = {"bytesize": 7, "parity": "E", "stopbits": 2}


def rfc2217(server: tuple[str, int, Any], **config: Any) -> PySerial:
    host, port, _ = server
    return PySerial(url=f"rfc2217://{host}:{port}?timeout=60", **config)


def line_of(port: Any) -> dict[str, Any]:
    return {name: getattr(port, name) for name in ("baudrate", *SEVEN_EVEN_TWO)}


def test_a_port_is_opened_with_the_settings_of_the_file(rfc2217_server: tuple[str, int, Any]) -> None:
    driver = rfc2217(rfc2217_server, baudrate=9600, bytesize=7, parity="even", stopbits=2)
    with serve(driver) as client, client.stream():
        assert line_of(rfc2217_server[2]) == {"baudrate": 9600, **SEVEN_EVEN_TWO}


@pytest.mark.parametrize("flow", ["rtscts", "xonxoff"])
def test_flow_control_reaches_the_port(rfc2217_server: tuple[str, int, Any], flow: str) -> None:
    far = rfc2217_server[2]
    with serve(rfc2217(rfc2217_server, **{flow: True})) as client, client.stream():
        assert getattr(far, flow)
        client.configure(**{flow: False})
        assert not getattr(far, flow)


def test_settings_are_changed_while_the_port_is_open(rfc2217_server: tuple[str, int, Any]) -> None:
    far = rfc2217_server[2]
    with serve(rfc2217(rfc2217_server)) as client, client.stream() as stream:
        told = client.configure(baudrate=1_500_000, parity="odd")
        assert (far.baudrate, far.parity, far.bytesize) == (1_500_000, "O", 8)
        assert (
            told
            == client.settings()
            == {
                **LineSettings().as_dict(),
                "baudrate": 1_500_000,
                "parity": "O",
            }
        )
        stream.send(b"still open")
        data = b""
        while len(data) < 10:
            data += stream.receive()
        assert data == b"still open"


def test_settings_made_before_a_port_is_opened_count_then(rfc2217_server: tuple[str, int, Any]) -> None:
    with serve(rfc2217(rfc2217_server)) as client:
        client.configure(**SEVEN_EVEN_TWO)
        with client.stream():
            assert line_of(rfc2217_server[2]) == {"baudrate": 115200, **SEVEN_EVEN_TWO}


def test_settings_are_those_of_the_file_again_in_the_next_lease(board: Any) -> None:
    driver = PySerial(url=board.path, baudrate=9600)
    for _ in range(2):
        with serve(driver) as client:
            assert client.settings()["baudrate"] == 9600
            client.configure(baudrate=57600, rtscts=True)
            assert client.settings()["baudrate"] == 57600


def test_a_break_is_sent_and_ends(rfc2217_server: tuple[str, int, Any], monkeypatch: Any) -> None:
    states: list[bool] = []
    far = rfc2217_server[2]
    monkeypatch.setattr(far, "_update_break_state", lambda: states.append(far._break_state))
    with serve(rfc2217(rfc2217_server)) as client, client.stream() as stream:
        client.send_break(0.05)
        stream.send(b"x")
        assert stream.receive() == b"x"
    # Opening the port says "no break", too.
    assert states[-2:] == [True, False]


def test_the_rate_of_a_terminal_is_changed_while_it_is_open(board: Any) -> None:
    with serve(PySerial(url=board.path, baudrate=9600)) as client, client.stream() as stream:
        client.configure(baudrate=57600, stopbits=2, rtscts=True)
        attributes = termios.tcgetattr(board._near)
        assert attributes[4:6] == [termios.B57600, termios.B57600]
        assert attributes[2] & termios.CSTOPB
        assert attributes[2] & termios.CRTSCTS
        board.say(b"at another rate")
        data = b""
        while len(data) < 15:
            data += stream.receive()
        assert data == b"at another rate"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"baudrate": 0}, "baudrate must be a positive whole number, found 0"),
        (
            {"parity": "X"},
            "parity must be one of N (none), E (even), O (odd), M (mark), S (space), found 'X'",
        ),
        ({"bytesize": 9}, "bytesize must be one of 5, 6, 7, 8, found 9"),
        ({"stopbits": 3}, "stopbits must be one of 1, 1.5, 2, found 3"),
        ({"rtscts": "yes"}, "rtscts must be true or false, found 'yes'"),
    ],
)
def test_a_value_that_is_none_is_told_in_the_file_and_by_the_call(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError) as error:
        PySerial(url="loop://", **values)
    assert message in str(error.value)
    with serve(PySerial(url="loop://")) as client:
        with pytest.raises(DriverInvalidArgument) as refused:
            client.call("configure", values)
        assert message in str(refused.value)
        assert client.settings() == LineSettings().as_dict()


def test_an_unknown_setting_is_told_with_the_nearest() -> None:
    with (
        serve(PySerial(url="loop://")) as client,
        pytest.raises(DriverInvalidArgument, match="no setting 'party'; did you mean 'parity'"),
    ):
        client.call("configure", {"party": "E"})


def test_a_raw_tcp_port_has_no_line() -> None:
    with serve(PySerial(url="socket://127.0.0.1:1")) as client:
        with pytest.raises(DriverMethodNotImplemented, match="no settings: it is a raw TCP connection"):
            client.configure(baudrate=9600)
        with pytest.raises(DriverMethodNotImplemented, match="no break condition"):
            client.send_break()


@pytest.mark.parametrize("duration", [0, -1, 5.1])
def test_a_break_has_a_sensible_length(duration: float) -> None:
    with (
        serve(PySerial(url="loop://")) as client,
        pytest.raises(DriverInvalidArgument, match="more than 0 and at most 5 s"),
    ):
        client.send_break(duration)


def test_the_commands_print_and_change(board: Any) -> None:
    with serve(PySerial(url=board.path)) as client:
        told = CliRunner().invoke(
            client.cli(), ["settings", "--parity", "even", "--stopbits", "1.5", "--rtscts"]
        )
        assert told.output.split() == (
            [
                "baudrate=115200",
                "bytesize=8",
                "parity=E",
                "stopbits=1.5",
                "rtscts=true",
                "xonxoff=false",
                "dsrdtr=false",
            ]
        )
        again = CliRunner().invoke(client.cli(), ["settings"])
        assert again.output == told.output
        assert CliRunner().invoke(client.cli(), ["send-break", "--duration", "0.01"]).output == "ok\n"
        assert CliRunner().invoke(client.cli(), ["send-break", "--duration", "9"]).exit_code == 2
        assert CliRunner().invoke(client.cli(), ["settings", "--parity", "x"]).exit_code == 2
