"""What an exporter remembers across its own death."""

from __future__ import annotations

from pathlib import Path

import pytest
from jumpstarter_exporter.record import Record, Unfinished, record_path

LEASE = Unfinished("lease", "anna", ending=True)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("XDG_STATE_HOME", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


def path() -> Path:
    found = record_path("lab:8082", "default", "board")
    assert found is not None
    return found


def test_what_was_written_is_read_until_it_is_cleared(tmp_path: Path) -> None:
    record = Record(tmp_path / "folder" / "record")
    assert record.read() is None
    record.write(LEASE)
    assert Record(tmp_path / "folder" / "record").read() == LEASE
    assert (tmp_path / "folder" / "record").stat().st_mode & 0o777 == 0o600
    record.clear("lease")
    assert record.read() is None
    record.clear("lease")


def test_lease_of_another_process_is_not_cleared(tmp_path: Path) -> None:
    Record(tmp_path / "record").write(LEASE)
    Record(tmp_path / "record").clear("earlier")
    assert Record(tmp_path / "record").read() == LEASE


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "\udc80",
        '{"lease": 1, "client": "c", "ending": true}',
        '{"lease": "x"}',
        '{"lease": "x", "client": "c", "ending": false, "more": 1}',
        "[" * 100_000,
    ],
    ids=lambda text: text[:20],
)
def test_damaged_record_is_told_and_is_none(
    tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "record"
    file.write_bytes(content.encode(errors="surrogateescape"))
    assert Record(file).read() is None
    (line,) = caplog.messages
    assert str(file) in line and "cannot be read" in line


def test_place_that_cannot_be_written_is_told_with_what_it_means(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    Record(tmp_path / "file" / "record").write(LEASE)
    (line,) = caplog.messages
    assert "cannot be written" in line and "XDG_STATE_HOME" in line


def test_every_exporter_of_every_controller_has_a_file_of_its_own() -> None:
    names = {
        record_path(endpoint, namespace, name)
        for endpoint in ("lab:8082", "lab:8083")
        for namespace in ("", "default", "other")
        for name in ("board", "Board", "bo/ard", "bo-ard", "x" * 300)
    }
    assert len(names) == 30
    assert {len(found.parts) for found in names if found} == {len(path().parts)}
    assert max(len(found.name) for found in names if found) < 100


def test_place_is_the_services_then_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert path().parent == tmp_path / "home/.local/state/jumpstarter/exporters"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert path().parent == tmp_path / "home/.local/state/jumpstarter/exporters"
    monkeypatch.setenv("XDG_STATE_HOME", "/xdg")
    assert path().parent == Path("/xdg/jumpstarter/exporters")
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/board:/var/lib/other")
    assert path().parent == Path("/var/lib/board/jumpstarter/exporters")


def test_account_without_a_home_has_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", _homeless)
    assert record_path("lab:8082", "default", "board") is None
    Record(None).write(LEASE)
    Record(None).clear("lease")
    assert Record(None).read() is None


def _homeless() -> Path:
    raise RuntimeError("Could not determine home directory.")
