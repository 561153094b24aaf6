"""The image format and the command that writes it."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jumpstarter_driver_simulated.image import (
    MAGIC,
    MAX_HEADER,
    Blank,
    Corrupt,
    Image,
    identify,
    main,
    make_image,
)


def seen(data: bytes) -> object:
    return identify(io.BytesIO(data))


@pytest.mark.parametrize("size", [0, 1, 65536, (1 << 20) + 7])
def test_image_is_what_it_was_made_of(size: int) -> None:
    image = Image(name="Näme", version="2.0", kernel="6.6")
    data = make_image(image, payload_size=size)
    assert seen(data) == image
    assert seen(data + b"rest of the card") == image
    assert len(data) - data.index(b"}\n") - 2 == size


def test_same_arguments_give_the_same_bytes() -> None:
    assert make_image(Image(version="2")) == make_image(Image(version="2"))
    assert make_image(Image(version="2"))[-100:] != make_image(Image(version="3"))[-100:]


@pytest.mark.parametrize("data", [b"", b"\0", b"\0" * 100_000, b"\xff" * 100_000])
def test_erased_card_is_blank(data: bytes) -> None:
    assert seen(data) == Blank()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"garbage", "Bad magic"),
        (b"\0" * 10 + b"garbage" * 10, "Bad magic"),
        (MAGIC[:-1], "Bad magic"),
        (MAGIC, "Bad header"),
        (MAGIC + b"{}\n", "Bad header"),
        (MAGIC + b"[1]\n", "Bad header"),
        (MAGIC + b"\xff\xfe\n", "Bad header"),
        (
            MAGIC
            + b'{"name": "a", "version": "1", "kernel": "2", "payload_size": "x", "payload_crc32": 0}\n',
            "Bad header",
        ),
        (MAGIC + b'"' + b"x" * MAX_HEADER + b'"\n', "Bad header"),
        (make_image(payload_size=100)[:-1], "Bad data CRC"),
        (make_image(payload_size=100)[:-1] + b"!", "Bad data CRC"),
    ],
)
def test_damaged_image_is_named(data: bytes, reason: str) -> None:
    assert seen(data) == Corrupt(reason)


@given(st.binary(max_size=300), st.booleans())
def test_any_content_is_identified(data: bytes, with_magic: bool) -> None:
    assert isinstance(seen(MAGIC + data if with_magic else data), Image | Blank | Corrupt)


def test_command_writes_an_image(tmp_path: Path) -> None:
    path = tmp_path / "board.img"
    command = [
        sys.executable,
        "-m",
        "jumpstarter_driver_simulated.image",
        path,
        "--version",
        "2.0",
        "--kernel",
        "6.9",
    ]
    done = subprocess.run([*map(str, command), "--size", "2K"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with path.open("rb") as file:
        assert identify(file) == Image(version="2.0", kernel="6.9")
    assert 2048 < path.stat().st_size < 2048 + MAX_HEADER


@pytest.mark.parametrize("size", ["", "4Q", "-1", "x"])
def test_command_refuses_a_bad_size(size: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([str(tmp_path / "x.img"), f"--size={size}"])
    assert exit_.value.code == 2
    assert "expected a number of bytes, 64K, 4M or 1G" in capsys.readouterr().err


def test_command_names_the_file_that_it_cannot_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "nowhere" / "x.img")]) == 1
    assert "nowhere/x.img" in capsys.readouterr().err


@pytest.mark.parametrize(("image", "size"), [(Image(), -1), (Image(name="x" * MAX_HEADER), 0)])
def test_image_that_cannot_be_made(image: Image, size: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        make_image(image, payload_size=size)
