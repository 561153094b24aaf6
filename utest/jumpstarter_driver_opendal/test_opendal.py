from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from jumpstarter.client.core import DriverError, DriverInvalidArgument, DriverMethodNotImplemented
from jumpstarter.common.exceptions import ConfigurationError, FileNotFoundError
from jumpstarter.common.utils import serve
from jumpstarter_driver_opendal.client import OpendalClient, operator_for_path
from jumpstarter_driver_opendal.driver import Opendal

BIG = os.urandom(1 << 20) * 5 + b"tail"


def test_bytes_come_back(opendal: OpendalClient, root: Path) -> None:
    for data in (b"", b"content", BIG):
        opendal.write_bytes("a/file", data)
        assert (root / "a" / "file").read_bytes() == data
        assert opendal.read_bytes("a/file") == data


def test_local_files_come_back(opendal: OpendalClient, tmp_path: Path) -> None:
    (tmp_path / "src").write_bytes(BIG)
    opendal.write_from_path("file", tmp_path / "src")
    opendal.read_into_path("file", str(tmp_path / "dst"))
    assert (tmp_path / "dst").read_bytes() == BIG


def test_files_of_an_operator_of_the_client_come_back(opendal: OpendalClient, tmp_path: Path) -> None:
    import opendal as library

    operator = library.Operator("fs", root=str(tmp_path))
    for used in (operator, operator.to_async_operator()):
        (tmp_path / "src").write_bytes(BIG)
        opendal.write_from_path("file", "src", operator=used)
        opendal.read_into_path("file", "dst", operator=used)
        assert (tmp_path / "dst").read_bytes() == BIG
        (tmp_path / "dst").unlink()


def test_operator_for_path_tells_path_operator_and_scheme(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"1")
    path, operator, scheme = operator_for_path(tmp_path / "x")
    assert (path, scheme, operator.read(str(path))) == (tmp_path / "x", "fs", b"1")
    path, _, scheme = operator_for_path("https://host.example/a/b.img?x=1")
    assert (str(path), scheme) == ("/a/b.img", "http")


def test_hash_is_made_of_the_content(opendal: OpendalClient) -> None:
    opendal.write_bytes("f", BIG)
    assert opendal.hash("f") == hashlib.sha256(BIG).hexdigest()
    assert opendal.hash("f", "md5") == hashlib.md5(BIG).hexdigest()
    with pytest.raises(DriverInvalidArgument, match="algo"):
        opendal.hash("f", "sha1")  # type: ignore[arg-type]


def test_copy_rename_delete(opendal: OpendalClient) -> None:
    opendal.write_bytes("f", b"1")
    opendal.copy("f", "copy")
    opendal.rename("f", "renamed")
    assert [opendal.exists(path) for path in ("f", "copy", "renamed")] == [False, True, True]
    assert opendal.read_bytes("renamed") == b"1"
    opendal.delete("copy")
    opendal.delete("copy")
    assert not opendal.exists("copy")


def test_directories(opendal: OpendalClient) -> None:
    opendal.create_dir("a/b/")
    opendal.create_dir("a/b/")
    opendal.write_bytes("a/b/f", b"1")
    assert sorted(opendal.list("a/")) == ["a/", "a/b/"]
    assert sorted(opendal.scan("a/")) == ["a/", "a/b/", "a/b/f"]
    opendal.remove_all("a/")
    assert not opendal.exists("a/b/f")


def test_stat_tells_kind_and_size(opendal: OpendalClient) -> None:
    opendal.write_bytes("d/f", b"12345")
    found = opendal.stat("d/f")
    assert (found.mode.is_file(), found.mode.is_dir(), found.content_length) == (True, False, 5)
    assert opendal.stat("d/").mode.is_dir()


def test_capability_tells_what_the_storage_can(opendal: OpendalClient) -> None:
    capability = opendal.capability()
    assert (capability.copy, capability.read, capability.blocking) == (True, True, True)
    assert (capability.presign_read, capability.write_multi_max_size) == (False, None)


def test_an_open_file_is_read_in_parts(opendal: OpendalClient) -> None:
    opendal.write_bytes("f", b"0123456789")
    with opendal.open("f", "rb") as file:
        assert (file.readable(), file.writable(), file.seekable(), file.closed) == (True, False, True, False)
        assert (file.seek(4), file.tell()) == (4, 4)
        assert file.read_bytes() == b"456789"
        assert file.seek(-2, 2) == 8
        assert file.read_bytes() == b"89"
    assert file.closed


def test_an_open_file_is_written_in_parts(opendal: OpendalClient) -> None:
    file = opendal.open("f", "wb")
    assert (file.readable(), file.writable()) == (False, True)
    file.write_bytes(b"one ")
    file.write_bytes(b"two")
    file.close()
    file.close()
    assert opendal.read_bytes("f") == b"one two"
    with pytest.raises(DriverInvalidArgument, match="it was closed, or its transfer failed"):
        file.write_bytes(b"more")


def test_other_modes_are_refused(opendal: OpendalClient) -> None:
    with pytest.raises(DriverInvalidArgument, match="mode"):
        opendal.open("f", "ab")  # type: ignore[arg-type]


def test_errors_are_one_line_and_name_the_path(opendal: OpendalClient) -> None:
    for action in (opendal.stat, opendal.read_bytes, opendal.hash):
        with pytest.raises(DriverError) as error:
            action("nosuch")
        assert "'nosuch'" in str(error.value)
        assert "No such file or directory" in str(error.value)
        assert "\n" not in str(error.value)
    with pytest.raises(DriverError, match="should end with `/`"):
        opendal.create_dir("d")
    with pytest.raises(DriverMethodNotImplemented, match="presign"):
        opendal.presign_read("f", 60)


def test_a_missing_local_file_is_an_error_that_creates_nothing(
    opendal: OpendalClient, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError, match=r"cannot read .*nosuch'"):
        opendal.write_from_path("f", tmp_path / "nosuch")
    with pytest.raises(DriverError, match="No such file"):
        opendal.read_into_path("f2", tmp_path / "dst")
    assert not (tmp_path / "dst").exists()


def test_memory_is_a_storage_too(tmp_path: Path) -> None:
    with serve(Opendal(scheme="memory", kwargs={})) as client:
        client.write_bytes("f", BIG)
        client.read_into_path("f", tmp_path / "dst")
    assert (tmp_path / "dst").read_bytes() == BIG


def test_a_service_that_presigns(tmp_path: Path) -> None:
    settings = {
        "bucket": "b",
        "endpoint": "http://127.0.0.1:9",
        "region": "r",
        "access_key_id": "id",
        "secret_access_key": "key",
        "disable_ec2_metadata": True,
    }
    with serve(Opendal(scheme="s3", kwargs=settings)) as client:
        for presign, method in (
            (client.presign_read, "GET"),
            (client.presign_stat, "HEAD"),
            (client.presign_write, "PUT"),
        ):
            request = presign("f", 60)
            assert request.method == method
            assert request.url.startswith("http://127.0.0.1:9/b/f?")
            assert "X-Amz-Expires=60" in request.url


def test_what_clients_create_is_known_and_removed_on_request(root: Path, tmp_path: Path) -> None:
    (root / "old").write_bytes(b"old")
    driver = Opendal(scheme="fs", kwargs={"root": str(root)}, remove_created_on_close=True)
    with serve(driver) as client:
        client.write_bytes("old", b"new")
        client.write_bytes("f", b"1")
        client.create_dir("d/")
        client.write_bytes("d/inner", b"1")
        client.copy("f", "copy")
        client.rename("f", "renamed")
        client.delete("copy")
        (root / "by_hand").mkdir()
        client.call("register_path", "by_hand")
        assert client.get_created_resources() == {"renamed", "d/", "d/inner", "by_hand"}
    driver.close()
    assert [path.name for path in root.iterdir()] == ["old"]


def test_what_clients_create_stays_by_default(root: Path) -> None:
    driver = Opendal(scheme="fs", kwargs={"root": str(root)})
    with serve(driver) as client:
        client.write_bytes("f", b"1")
    driver.close()
    assert (root / "f").exists()


@pytest.mark.parametrize(
    ("scheme", "kwargs", "message"),
    [
        ("fss", {}, "Opendal: scheme 'fss' with kwargs []: scheme is not registered"),
        ("fs", {}, "root is not specified"),
        ("fs", {"root": None}, "Opendal: kwargs.root is None, expected a text"),
        ("fs", ["root"], "Opendal: kwargs is ['root'], expected a mapping"),
        ("fs", {"root": "/proc/nosuch"}, "create root dir failed: No such file or directory"),
    ],
)
def test_a_wrong_configuration_is_one_line(scheme: str, kwargs: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        Opendal(scheme=scheme, kwargs=kwargs)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
