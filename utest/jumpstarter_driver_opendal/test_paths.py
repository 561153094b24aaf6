from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jumpstarter.client.core import DriverInvalidArgument
from jumpstarter.common.exceptions import ArgumentError
from jumpstarter.common.utils import serve
from jumpstarter_driver_opendal.client import OpendalClient
from jumpstarter_driver_opendal.driver import Opendal

OUTSIDE = [
    "../secret",
    "..",
    "../",
    "a/../../secret",
    "a/..",
    "/../secret",
    "//../secret",
    "..\\secret",
    "a\0b",
]

#: Every way to name one path to a storage.
ACTIONS: dict[str, Callable[[OpendalClient, str], Any]] = {
    "open to read": lambda client, path: client.open(path, "rb"),
    "open to write": lambda client, path: client.open(path, "wb"),
    "stat": OpendalClient.stat,
    "hash": OpendalClient.hash,
    "exists": OpendalClient.exists,
    "copy from": lambda client, path: client.copy(path, "stolen"),
    "copy to": lambda client, path: client.copy("kept", path),
    "rename from": lambda client, path: client.rename(path, "stolen"),
    "rename to": lambda client, path: client.rename("kept", path),
    "remove_all": OpendalClient.remove_all,
    "create_dir": OpendalClient.create_dir,
    "delete": OpendalClient.delete,
    "list": lambda client, path: list(client.list(path)),
    "scan": lambda client, path: list(client.scan(path)),
    "presign_stat": lambda client, path: client.presign_stat(path, 1),
    "presign_read": lambda client, path: client.presign_read(path, 1),
    "presign_write": lambda client, path: client.presign_write(path, 1),
    "register_path": lambda client, path: client.call("register_path", path),
}


def content(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if not path.is_symlink()
    }


@pytest.fixture
def secrets(root: Path) -> Path:
    """A folder beside the root, and links of the root that lead to it."""
    outside = root.parent / "outside"
    (outside / "below").mkdir(parents=True)
    (outside / "secret").write_bytes(b"secret")
    (root.parent / "secret").write_bytes(b"secret")
    (root / "kept").write_bytes(b"kept")
    (root / "folder").symlink_to("../outside")
    (root / "file").symlink_to("../outside/secret")
    (root / "dangling").symlink_to(outside / "new")
    return outside


@pytest.mark.timeout(60)
@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("scheme", ["fs", "memory"])
def test_a_path_that_leads_out_is_refused(action: str, scheme: str, root: Path, secrets: Path) -> None:
    before = content(root.parent)
    with serve(Opendal(scheme=scheme, kwargs={"root": str(root)})) as client:
        for path in OUTSIDE:
            with pytest.raises(DriverInvalidArgument) as error:
                ACTIONS[action](client, path)
            assert repr(path) in str(error.value)
    assert content(root.parent) == before


@pytest.mark.parametrize("action", ACTIONS)
def test_a_link_that_leads_out_is_refused(
    action: str, opendal: OpendalClient, root: Path, secrets: Path
) -> None:
    before = content(root.parent)
    for path in ("folder/", "folder/secret", "/folder/below/new", "file", "dangling", "dangling/"):
        with pytest.raises(DriverInvalidArgument, match=r"by a symbolic link; .* follow_links: true"):
            ACTIONS[action](opendal, path)
    assert content(root.parent) == before


def test_removing_and_scanning_do_not_follow_links(opendal: OpendalClient, root: Path, secrets: Path) -> None:
    (root / "d").mkdir()
    (root / "d" / "link").symlink_to(secrets)
    assert sorted(opendal.scan("d/")) == ["d/", "d/link"]
    opendal.remove_all("d/")
    assert not (root / "d").exists()
    assert (secrets / "secret").read_bytes() == b"secret"


def test_links_inside_the_root_and_a_root_that_is_a_link_work(root: Path, tmp_path: Path) -> None:
    (root / "d").mkdir()
    (root / "inside").symlink_to("d")
    (tmp_path / "link").symlink_to(root)
    with serve(Opendal(scheme="fs", kwargs={"root": str(tmp_path / "link")})) as client:
        client.write_bytes("inside/f", b"1")
        assert client.read_bytes("/d/f") == b"1"


def test_a_leading_slash_and_odd_names_are_below_the_root(opendal: OpendalClient, root: Path) -> None:
    odd = ("/etc/hostname", "a..b", "..a/b", "...", "back\\slash", "a b", "~", "-rf", "é", "..\u200b/x")
    encoded = ("%2e%2e/x", "..%2fx", ".%2e/x", "..;/x", "file:/x", "\uff0e\uff0e/x")
    for name in (*odd, *encoded):
        opendal.write_bytes(name, b"1")
        assert (root / name.lstrip("/")).read_bytes() == b"1"


def test_links_that_lead_out_are_followed_when_the_exporter_file_says_so(root: Path, secrets: Path) -> None:
    driver = Opendal(scheme="fs", kwargs={"root": str(root)}, follow_links=True)
    with serve(driver) as client:
        assert client.read_bytes("folder/secret") == b"secret"
        with pytest.raises(DriverInvalidArgument, match=r"'\.\.' in it"):
            client.read_bytes("folder/../secret")


@pytest.fixture
def cleaning(root: Path) -> Iterator[Opendal]:
    yield Opendal(scheme="fs", kwargs={"root": str(root)}, remove_created_on_close=True)


def test_what_a_link_leads_to_is_not_removed_at_the_end(
    cleaning: Opendal, root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"secret")
    with serve(cleaning) as client:
        client.write_bytes("d/secret", b"1")
        client.delete("d/secret")
        client.call("register_path", "d/secret")
        (root / "d").rmdir()
        (root / "d").symlink_to(tmp_path / "outside")
    cleaning.close()
    assert (tmp_path / "outside" / "secret").exists()
    assert "left behind: path escapes the configured root: 'd/secret'" in caplog.text


@pytest.mark.parametrize("path", ["", ".", "./", "/.", "././"])
@pytest.mark.parametrize(
    "action",
    [
        "copy from",
        "copy to",
        "rename from",
        "rename to",
        "remove_all",
        "create_dir",
        "delete",
        "register_path",
    ],
)
def test_a_path_without_a_name_is_not_the_whole_storage(
    opendal: OpendalClient, root: Path, action: str, path: str
) -> None:
    (root / "kept").write_text("kept")
    before = content(root)
    with pytest.raises((ArgumentError, DriverInvalidArgument), match="names nothing below the root"):
        ACTIONS[action](opendal, path)
    for method in ("remove_all", "delete"):  # a client that does not look
        with pytest.raises(DriverInvalidArgument, match="names nothing below the root"):
            opendal.call(method, path)
    assert content(root) == before


def test_the_whole_storage_is_removed_by_its_name(opendal: OpendalClient, root: Path) -> None:
    (root / "folder").mkdir()
    (root / "folder" / "file").write_text("gone")
    opendal.remove_all("/")
    assert not root.exists() or content(root) == {}


@pytest.mark.parametrize("command", ["remove-all", "delete"])
def test_an_empty_path_on_the_command_line_is_wrong_usage(
    opendal: OpendalClient, root: Path, command: str
) -> None:
    (root / "kept").write_text("kept")
    result = CliRunner().invoke(opendal.cli(), [command, ""])
    assert isinstance(result.exception, ArgumentError)
    assert content(root) == {"kept": b"kept"}
