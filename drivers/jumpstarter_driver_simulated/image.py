"""The images that a simulated board boots: their format, and a command that makes them.

An image is three parts, one after the other::

    #!jumpstarter-simulated-image 1\\n                  magic and format number, ASCII
    {"name": ..., "version": ..., ...}\\n               one line of JSON, at most 4096 bytes
    payload                                            payload_size bytes

The header's keys are `name` and `version` of the operating system, `kernel` (what `uname -r` says),
`payload_size` in bytes and `payload_crc32` (of the payload, as `zlib.crc32` counts it). Bytes after the
payload are ignored, as on a card that is larger than its image. A card that begins with zeros or with 0xFF
is erased.

Make one on the command line::

    python -m jumpstarter_driver_simulated.image board-2.0.img --version 2.0 --size 4M
"""

from __future__ import annotations

import argparse
import io
import json
import random
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

MAGIC = b"#!jumpstarter-simulated-image 1\n"
"""The first bytes of an image."""

MAX_HEADER = 4096
"""The longest JSON line, in bytes, newline included."""

_CHUNK = 1 << 20
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@dataclass(frozen=True, kw_only=True)
class Image:
    """A card with an image that boots."""

    name: str = "Simulated Linux"
    version: str = "1.0"
    kernel: str = "6.1.0-simulated"


@dataclass(frozen=True)
class Blank:
    """A card that is empty or erased."""


@dataclass(frozen=True)
class Corrupt:
    """A card with something on it that does not boot; `reason` is the boot loader's word for it."""

    reason: str


CardContent = Image | Blank | Corrupt
"""What a board finds on its card."""


def make_image(image: Image | None = None, *, payload_size: int = 64 * 1024) -> bytes:
    """Make an image in memory. The same arguments always give the same bytes.

    Args:
        image: the names that the booted system gives itself; `Image()` when None.
        payload_size: bytes after the header.
    """
    out = io.BytesIO()
    write_image(out, image, payload_size=payload_size)
    return out.getvalue()


def write_image(out: IO[bytes], image: Image | None = None, *, payload_size: int = 64 * 1024) -> None:
    """Write an image to the binary file *out*; see `make_image`.

    Raises:
        ValueError: *payload_size* is negative, or the names do not fit in a header.
    """
    if payload_size < 0:
        raise ValueError(f"payload_size is {payload_size}: expected 0 or more bytes")
    image = image or Image()
    crc = 0
    for chunk in _payload(image, payload_size):
        crc = zlib.crc32(chunk, crc)
    header = (
        json.dumps({**asdict(image), "payload_size": payload_size, "payload_crc32": crc}).encode() + b"\n"
    )
    if len(header) > MAX_HEADER:
        raise ValueError(f"name, version and kernel take {len(header)} bytes: expected at most {MAX_HEADER}")
    out.write(MAGIC + header)
    for chunk in _payload(image, payload_size):
        out.write(chunk)


def identify(card: IO[bytes]) -> CardContent:
    """Tell what a board would make of *card*, a binary file at its beginning.

    The payload is read to its end and compared with the header's checksum, as a boot loader does.
    """
    start = card.read(len(MAGIC))
    if not start.strip(b"\x00") or not start.strip(b"\xff"):
        return Blank()
    if start != MAGIC:
        return Corrupt("Bad magic")
    try:
        header = json.loads(card.readline(MAX_HEADER))
        image = Image(name=str(header["name"]), version=str(header["version"]), kernel=str(header["kernel"]))
        size, crc = int(header["payload_size"]), int(header["payload_crc32"])
    except (ValueError, KeyError, TypeError):
        return Corrupt("Bad header")
    return image if _checksum(card, size) == crc else Corrupt("Bad data CRC")


def _checksum(card: IO[bytes], size: int) -> int | None:
    """The CRC of the next *size* bytes; None when the card ends before."""
    crc = 0
    while size > 0:
        chunk = card.read(min(size, _CHUNK))
        if not chunk:
            return None
        crc = zlib.crc32(chunk, crc)
        size -= len(chunk)
    return crc


def _payload(image: Image, size: int) -> Iterator[bytes]:
    """Bytes that do not compress and are the same for the same image, a chunk at a time."""
    source = random.Random(f"{image.name} {image.version} {image.kernel}")
    for start in range(0, size, _CHUNK):
        yield source.randbytes(min(_CHUNK, size - start))


def _size(text: str) -> int:
    """Bytes from text such as `65536`, `64K`, `4M` or `1G`."""
    number, unit = (text[:-1], text[-1].upper()) if text[-1:].isalpha() else (text, "")
    if unit not in _UNITS or not number.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no size: expected a number of bytes, 64K, 4M or 1G")
    return int(number) * _UNITS[unit]


def main(argv: Sequence[str] | None = None) -> int:
    """Make an image file; the arguments are those of `--help`."""
    default = Image()
    parser = argparse.ArgumentParser(
        prog="python -m jumpstarter_driver_simulated.image",
        description="Make an image for a simulated board.",
    )
    parser.add_argument("output", type=Path, help="file to write")
    parser.add_argument("--name", default=default.name, help="name of the operating system (%(default)s)")
    parser.add_argument("--version", default=default.version, help="its version (%(default)s)")
    parser.add_argument("--kernel", default=default.kernel, help="what `uname -r` says (%(default)s)")
    parser.add_argument(
        "--size", type=_size, default="64K", help="bytes of payload: 65536, 64K, 4M (%(default)s)"
    )
    args = parser.parse_args(argv)
    try:
        with args.output.open("wb") as out:
            write_image(
                out, Image(name=args.name, version=args.version, kernel=args.kernel), payload_size=args.size
            )
    except (OSError, ValueError) as error:
        sys.stderr.write(f"Error: cannot write the image {args.output}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
