"""Credentials of registries, from where the container tools keep them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.common.oci import (
    OciCredentials,
    parse_oci_registry,
    read_auth_file_credentials,
    resolve_oci_credentials,
)
from pydantic import SecretStr


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "OCI_USERNAME", "OCI_PASSWORD", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    return tmp_path / "home"


def auth(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def write(path: Path, entries: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"auths": entries}))
    return path


def seen(credentials: OciCredentials) -> tuple[str | None, str | None]:
    return credentials.username, credentials.plain_password


@pytest.mark.parametrize(
    ("url", "registry"),
    [
        ("oci://registry.example/lab/image:v1", "registry.example"),
        ("registry.example:5000/image@sha256:00", "registry.example:5000"),
        ("oci://localhost/image", "localhost"),
        ("oci://localhost:5000/a/b", "localhost:5000"),
    ],
)
def test_the_registry_of_a_reference(url: str, registry: str) -> None:
    assert parse_oci_registry(url) == registry


@pytest.mark.parametrize(
    "url", ["image", "lab/image:v1", "oci://image", "oci://registry.example", "oci://r.example/", ""]
)
def test_a_reference_that_names_no_registry_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="does not name its registry: expected oci://HOST/NAME:TAG"):
        parse_oci_registry(url)


def test_credentials_are_both_or_neither() -> None:
    assert not OciCredentials().is_authenticated
    with pytest.raises(ValueError, match="both user name and password"):
        OciCredentials("user")
    with pytest.raises(ValueError, match="both user name and password"):
        OciCredentials(password="p")


def test_a_password_is_not_shown() -> None:
    credentials = OciCredentials("user", "hunter2")
    assert credentials.is_authenticated
    assert credentials.plain_password == "hunter2"
    assert "hunter2" not in repr(credentials) + str(credentials)
    assert OciCredentials("user", SecretStr("hunter2")) == credentials


def test_what_is_given_comes_before_the_environment_and_the_files(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(home / ".docker/config.json", {"r.example": auth("file", "f")})
    assert seen(resolve_oci_credentials("oci://r.example/i")) == ("file", "f")
    monkeypatch.setenv("OCI_USERNAME", "environment")
    monkeypatch.setenv("OCI_PASSWORD", "e")
    assert seen(resolve_oci_credentials("oci://r.example/i")) == ("environment", "e")
    assert seen(resolve_oci_credentials("oci://r.example/i", "given", "g")) == ("given", "g")
    with pytest.raises(ValueError, match="both"):
        resolve_oci_credentials("oci://r.example/i", username="given")


def test_files_are_looked_at_in_order(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = [
        (home / ".docker/config.json", None),
        (tmp_path / "docker/config.json", ("DOCKER_CONFIG", tmp_path / "docker")),
        (home / ".config/containers/auth.json", None),
        (tmp_path / "run/containers/auth.json", None),
        (tmp_path / "explicit.json", ("REGISTRY_AUTH_FILE", tmp_path / "explicit.json")),
    ]
    assert seen(read_auth_file_credentials("oci://r.example/i")) == (None, None)
    for number, (path, variable) in enumerate(places):
        write(path, {"r.example": auth("user", str(number))})
        if variable is not None:
            monkeypatch.setenv(variable[0], str(variable[1]))
        assert seen(read_auth_file_credentials("oci://r.example/i")) == ("user", str(number))


def test_the_closest_entry_counts(home: Path) -> None:
    write(
        home / ".docker/config.json",
        {
            "r.example": auth("host", "1"),
            "r.example/lab": auth("lab", "2"),
            "r.example/lab/board": auth("board", "3"),
            "https://index.example/v1/": auth("index", "4"),
            "other.example": auth("other", "5"),
        },
    )
    for url, user in (
        ("oci://r.example/x:v1", "host"),
        ("oci://r.example/lab/x", "lab"),
        ("oci://r.example/labs/x", "host"),
        ("oci://r.example/lab/board@sha256:00", "board"),
        ("oci://r.example/lab/board:v1", "board"),
        ("oci://index.example/x", "index"),
        ("oci://none.example/x", None),
    ):
        assert read_auth_file_credentials(url).username == user, url


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not an authentication file"),
        ("[]", "not an authentication file"),
        ('{"auths": []}', "'auths' is list: expected a mapping"),
        ('{"auths": {"r.example": {}}}', "entry of r.example has no 'auth'"),
        ('{"auths": {"r.example": {"auth": "!"}}}', "entry of r.example has no 'auth'"),
        ('{"auths": {"r.example": {"auth": "dXNlcg=="}}}', "entry of r.example has no 'auth'"),
    ],
)
def test_a_file_that_is_not_valid_is_told_with_its_path(home: Path, text: str, reason: str) -> None:
    path = home / ".docker/config.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=reason) as caught:
        read_auth_file_credentials("oci://r.example/i")
    assert str(path) in str(caught.value)


def test_an_explicit_file_that_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "none.json"))
    with pytest.raises(ConfigurationError, match=r"none.json: No such file"):
        read_auth_file_credentials("oci://r.example/i")


def test_white_space_and_empty_texts_are_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    assert seen(resolve_oci_credentials("oci://r.example/i", " me ", " secret\n")) == ("me", "secret")
    assert seen(resolve_oci_credentials("oci://r.example/i", "", " ")) == (None, None)
    monkeypatch.setenv("OCI_USERNAME", "half")
    assert seen(resolve_oci_credentials("oci://r.example/i")) == (None, None)
    with pytest.raises(ValueError, match="OCI authentication requires both"):
        resolve_oci_credentials("oci://r.example/i", password="secret")
