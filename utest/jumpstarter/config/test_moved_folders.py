"""Tests of other people's drivers move the folders of configurations by setting attributes of the config classes."""

from __future__ import annotations

from pathlib import Path

import pytest
from jumpstarter.common.exceptions import FileNotFoundError
from jumpstarter.config.client import ClientConfigV1Alpha1
from jumpstarter.config.common import ObjectMeta
from jumpstarter.config.exporter import ExporterConfigV1Alpha1
from jumpstarter.config.user import UserConfigV1Alpha1


def exporter(alias: str) -> ExporterConfigV1Alpha1:
    return ExporterConfigV1Alpha1(alias=alias, metadata=ObjectMeta(namespace="default", name=alias))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JMP_CLIENT_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("JMP_SYSTEM_CONFIG_HOME", str(tmp_path / "system"))
    return tmp_path / "home"


def test_the_folders_are_those_of_the_environment(home: Path) -> None:
    assert home / "exporters" == ExporterConfigV1Alpha1.BASE_PATH
    assert home.parent / "system" / "exporters" == ExporterConfigV1Alpha1.SYSTEM_CONFIG_PATH
    assert home / "clients" == ClientConfigV1Alpha1.CLIENT_CONFIGS_PATH
    assert home / "config.yaml" == UserConfigV1Alpha1.USER_CONFIG_PATH


def test_exporters_are_written_and_found_in_the_folders_that_a_test_sets(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ExporterConfigV1Alpha1, "BASE_PATH", tmp_path / "mine")
    monkeypatch.setattr(ExporterConfigV1Alpha1, "SYSTEM_CONFIG_PATH", tmp_path / "all")
    assert exporter("a").save() == tmp_path / "mine" / "a.yaml"
    exporter("b").save(tmp_path / "all" / "b.yaml")
    assert [item.alias for item in ExporterConfigV1Alpha1.list().items] == ["a", "b"]
    assert ExporterConfigV1Alpha1.load("b").metadata.name == "b"
    monkeypatch.undo()
    assert not (home / "exporters").exists()


def test_clients_and_the_current_one_are_where_a_test_sets_them(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ClientConfigV1Alpha1, "CLIENT_CONFIGS_PATH", tmp_path / "mine")
    monkeypatch.setattr(UserConfigV1Alpha1, "USER_CONFIG_PATH", tmp_path / "user.yaml")
    ClientConfigV1Alpha1(alias="c", metadata=ObjectMeta(namespace="default", name="c")).save()
    UserConfigV1Alpha1().use_client("c")
    assert {path.name for path in tmp_path.rglob("*.yaml")} == {"c.yaml", "user.yaml"}
    assert UserConfigV1Alpha1.load().config.current_client_alias == "c"
    with pytest.raises(FileNotFoundError, match=r"mine/d\.yaml"):
        ClientConfigV1Alpha1.load("d")
    assert not home.exists()
