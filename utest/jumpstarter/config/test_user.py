from __future__ import annotations

import stat
from pathlib import Path

import pytest
import yaml
from jumpstarter.common.exceptions import ConfigurationError, FileAccessError, FileNotFoundError
from jumpstarter.config import common
from jumpstarter.config.client import ClientConfigV1Alpha1
from jumpstarter.config.exporter import ExporterConfigV1Alpha1
from jumpstarter.config.user import UserConfigV1Alpha1, UserConfigV1Alpha1Config

from .conftest import Homes

DOCUMENTED = "apiVersion: jumpstarter.dev/v1alpha1\nkind: UserConfig\nconfig:\n  current-client: default\n"


def test_the_documented_file(homes: Homes) -> None:
    homes.write("user", "config.yaml", DOCUMENTED)
    config = UserConfigV1Alpha1.load()
    assert config.config.current_client_alias == "default"
    assert config.config.current_client is None  # there is no such client
    homes.write("user", "clients/default.yaml", "endpoint: x:1\n")
    assert config.config.current_client is not None
    assert config.config.current_client.endpoint == "x:1"


def test_reading_creates_nothing(homes: Homes) -> None:
    assert UserConfigV1Alpha1.load_or_create() == UserConfigV1Alpha1()
    assert not UserConfigV1Alpha1.exists()
    with pytest.raises(FileNotFoundError):
        UserConfigV1Alpha1.load()
    assert ClientConfigV1Alpha1.list().items == []
    assert ExporterConfigV1Alpha1.list().items == []
    assert not ExporterConfigV1Alpha1.exists("x")
    assert not homes.user.exists()
    assert not homes.system.exists()


def test_use_client_writes_the_users_file(homes: Homes) -> None:
    homes.write("user", "clients/lab.yaml", "endpoint: x:1\n")
    homes.write("system", "config.yaml", DOCUMENTED)
    config = UserConfigV1Alpha1.load_or_create()
    assert config.config.current_client_alias == "default"
    path = config.use_client("lab")
    assert path == homes.user / "config.yaml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert yaml.safe_load(path.read_text()) == yaml.safe_load(DOCUMENTED.replace("default", "lab"))
    assert UserConfigV1Alpha1.load() == config
    with pytest.raises(FileNotFoundError, match=r"did you mean 'lab'\?"):
        config.use_client("labb")
    config.use_client(None)
    assert yaml.safe_load(path.read_text())["config"] == {"current-client": None}


def test_configuration_made_by_a_program(homes: Homes) -> None:
    path = homes.write("user", "clients/lab.yaml", "endpoint: x:1\n")
    client = ClientConfigV1Alpha1.from_file(path)
    config = UserConfigV1Alpha1(config=UserConfigV1Alpha1Config(current_client=client))
    assert config.config.current_client_alias == "lab"
    assert config.config.current_client is not None
    other = homes.user / "other.yaml"
    assert UserConfigV1Alpha1.save(config, str(other)) == other
    assert yaml.safe_load(other.read_text()) == yaml.safe_load(DOCUMENTED.replace("default", "lab"))
    assert not UserConfigV1Alpha1.exists()
    config.config.current_client = None
    assert config == UserConfigV1Alpha1()
    config.use_client(name="lab")
    assert UserConfigV1Alpha1.load().config.current_client_alias == "lab"


def test_problems_have_file_and_line(homes: Homes) -> None:
    path = homes.write("user", "config.yaml", DOCUMENTED.replace("current-client", "current_client"))
    with pytest.raises(ConfigurationError) as caught:
        UserConfigV1Alpha1.load_or_create()
    assert str(caught.value) == (
        f"{path}:4: config.current_client: unknown key; expected one of current-client; "
        "did you mean 'current-client'?"
    )


def test_where_files_are(homes: Homes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert common.user_config_home() == homes.user
    assert homes.user == common.CONFIG_PATH
    monkeypatch.delenv("JMP_CLIENT_CONFIG_HOME")
    assert common.user_config_home() == tmp_path / "home/.config/jumpstarter"
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    assert common.user_config_home() == tmp_path / "home/.config/jumpstarter"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    assert common.user_config_home() == tmp_path / "xdg/jumpstarter"
    monkeypatch.delenv("JMP_SYSTEM_CONFIG_HOME")
    assert common.system_config_home() == Path("/etc/jumpstarter")


def test_a_place_that_cannot_be_written_is_named(homes: Homes, tmp_path: Path) -> None:
    homes.user.parent.mkdir(exist_ok=True)
    homes.user.write_text("a file where the directory should be")
    with pytest.raises(
        FileAccessError, match=r"config\.yaml: cannot be written: (not a directory|file exists)"
    ):
        UserConfigV1Alpha1().save()
