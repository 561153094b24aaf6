"""What flashers of other people import from the storage driver's client and use of it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlparse

import opendal
import pytest
from jumpstarter.common.utils import serve
from jumpstarter_driver_opendal.adapter import AsyncFileStream, OpendalAdapter
from jumpstarter_driver_opendal.client import (
    FlasherClient,
    FlasherClientInterface,
    clean_filename,
    path_with_query,
)
from jumpstarter_driver_opendal.driver import MockFlasher, MockStorageMux, Opendal


def test_the_adapter_makes_handles_to_read_and_to_write(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"image" * 1000)
    storage = opendal.Operator("fs", root=str(tmp_path))
    with serve(MockStorageMux()) as client:
        with OpendalAdapter(client=client, operator=storage, path="in") as handle:
            client.write(handle)
        with OpendalAdapter(client=client, operator=storage, path="out", mode="wb") as handle:
            client.read(handle)
    assert (tmp_path / "out").read_bytes() == b"image" * 1000


def test_a_file_of_opendal_is_an_anyio_stream(tmp_path: Path) -> None:
    async def copy() -> bytes:
        storage = opendal.AsyncOperator("fs", root=str(tmp_path))
        async with AsyncFileStream(file=await storage.open("f", "wb")) as target:
            await target.send(b"one")
            await target.send(b"two")
            await target.send_eof()
        async with AsyncFileStream(file=await storage.open("f", "rb")) as source:
            return b"".join([item async for item in source])

    assert asyncio.run(copy()) == b"onetwo"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("https://cdn.example.com/images/image.raw.xz?Expires=1&Signature=abc/def", "image.raw.xz"),
        ("/images/image.raw.xz?Signature=abc/def", "image.raw.xz"),
        ("http://h/b.img#part", "b.img"),
        ("images/b.img", "b.img"),
        (Path("/images/image.raw.xz?Signature=abc/def"), "image.raw.xz"),
        (Path("/images/what#1.img"), "what#1.img"),
    ],
)
def test_the_name_of_a_file_has_no_query(path: str | os.PathLike[str], name: str) -> None:
    assert clean_filename(path) == name


def test_a_url_keeps_its_query_on_the_way_to_the_server() -> None:
    assert path_with_query(urlparse("https://h/a/b.img?x=1&y=2")) == "/a/b.img?x=1&y=2"
    assert path_with_query(urlparse("https://h/a/b.img")) == "/a/b.img"


def test_a_flasher_knows_whether_its_storage_has_a_file(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(b"1" * 4096)
    (tmp_path / "root").mkdir()
    driver = Opendal(scheme="fs", kwargs={"root": str(tmp_path / "root")})
    local = opendal.Operator("fs", root="/")
    with serve(MockFlasher()) as flasher, serve(driver) as storage:
        assert flasher._should_upload_file(storage, "image", image, local)
        storage.write_from_path("image", image)
        assert not flasher._should_upload_file(storage, "image", image, local, "fs")
        assert flasher._should_upload_file(storage, "image", image, local, "http")
        image.write_bytes(b"2" * 4096)
        assert flasher._should_upload_file(storage, "image", image, local)


def test_flashers_of_others_find_the_names_that_opendal_has_moved() -> None:
    program = (
        "from jumpstarter_driver_opendal.client import clean_filename\n"
        "from opendal import EntryMode, Metadata, Operator, PresignedRequest"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_flashers_of_others_have_the_interface_as_a_base() -> None:
    assert issubclass(FlasherClient, FlasherClientInterface)
