"""Opening serial ports: devices, and pyserial's URLs for ports that are elsewhere."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from jumpstarter.common.exceptions import ConfigurationError, ConnectionError

from .settings import LineSettings

if TYPE_CHECKING:
    from serial import SerialBase

#: Seconds after which a read on a port without a file descriptor looks whether it should go on.
READ_TIMEOUT = 0.5

_USUAL = ("serial/by-id/*", "ttyUSB*", "ttyACM*")


def is_device(url: str) -> bool:
    """True for a device of the exporter's machine, false for one of pyserial's URLs."""
    return "://" not in url


def check_device(url: str) -> None:
    """Raise `ConfigurationError` when the device *url* does not exist."""
    if not is_device(url) or os.path.exists(url):  # noqa: PTH110 - a device name as text
        return
    devices = Path("/dev")
    present = sorted(str(path) for pattern in _USUAL for path in devices.glob(pattern))
    shown = ", ".join(present[:8]) or "none"
    raise ConfigurationError(
        f"serial port {url} does not exist; present: {shown}. Plug it in, correct url, or set "
        "check_existing: false for a port that appears later"
    )


def socket_address(url: str) -> tuple[str, int]:
    """Host and port of a ``socket://host:port`` URL.

    Raises:
        ConfigurationError: the URL has another form
    """
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    if not parts.hostname or not port:
        raise ConfigurationError(
            f"serial port {url}: expected socket://host:port with a port from 1 to 65535"
        )
    return parts.hostname, port


def open_port(
    make: Callable[..., SerialBase],
    url: str,
    settings: LineSettings,
    lines: Mapping[str, bool],
    disable_hupcl: bool,
) -> SerialBase:
    """Open *url* through pyserial; blocks while it connects.

    Args:
        make: pyserial's ``serial_for_url``
        url: device or pyserial URL
        settings: rate, form of a character, flow control
        lines: states of ``dtr`` and ``rts`` to open with; what is absent is switched on, as pyserial does
        disable_hupcl: keep DTR as it is when the port is closed

    Raises:
        ConnectionError: the port is missing, busy, forbidden, or the far end does not answer
    """
    try:
        port = make(url, do_not_open=True, **settings.as_dict())
        for line, state in lines.items():
            # pyserial opens a port with these; while it is closed, setting the line does no more.
            setattr(port, f"_{line}_state", state)
        if has_descriptor(port):
            port.timeout = 0
            # A second program on one port would steal bytes from the first.
            port.exclusive = True
        else:
            port.timeout = READ_TIMEOUT
        port.open()
    except (OSError, ValueError) as error:
        raise ConnectionError(f"cannot open serial port {url}: {_why(error)}") from None
    if disable_hupcl:
        _clear_hupcl(port)
    return port


def has_descriptor(port: SerialBase) -> bool:
    """True when the port is a device whose file descriptor can be read and written as it is."""
    import serial

    return os.name == "posix" and type(port) is serial.Serial


def _clear_hupcl(port: SerialBase) -> None:
    if not has_descriptor(port):
        return
    import termios

    attributes = termios.tcgetattr(port.fileno())
    attributes[2] &= ~termios.HUPCL
    termios.tcsetattr(port.fileno(), termios.TCSANOW, attributes)


_WHY = {
    errno.ENOENT: "it does not exist; is the adapter plugged in?",
    errno.EACCES: "permission denied; add the exporter's user to the group that owns it (often dialout)",
    errno.EPERM: "permission denied; add the exporter's user to the group that owns it (often dialout)",
    errno.EBUSY: "another program has it open; close that program",
    errno.EAGAIN: "another program has locked it; close that program",
    errno.EIO: "the device does not answer; plug it in again",
    errno.ENOTTY: "it is not a serial port",
}


def _why(error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number in _WHY:
        return _WHY[number]
    return " ".join(str(error).split())
