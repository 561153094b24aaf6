"""The controller's configuration file is as strict as the others."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from jumpstarter.common.addresses import join_address, split_address
from jumpstarter.common.exceptions import ConfigurationError, FileNotFoundError
from jumpstarter_controller.settings import ControllerSettings


def read(tmp_path: Path, text: str) -> ControllerSettings:
    path = tmp_path / "controller.yaml"
    path.write_text(text)
    return ControllerSettings.from_file(path)


def test_nothing_needs_to_be_said(tmp_path: Path) -> None:
    assert read(tmp_path, "kind: ControllerConfig\n") == ControllerSettings()


def test_all_that_can_be_said(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        """\
apiVersion: jumpstarter.dev/v1alpha1
kind: ControllerConfig
dataDirectory: /srv/lab
namespace: lab
listen: "0.0.0.0:9082"
endpoints: ["lab.example.com:9082"]
router:
  listen: "[::1]:9083"
  endpoint: "router.example.com:9083"
  others: {far: {endpoint: "far.example.com:8083", labels: {site: far}}}
login: {listen: ""}
tls: {certificate: cert.pem, key: key.pem, ca: ca.pem}
authentication:
  internal: {tokenLifetime: 30d}
  upstream: {controllerKey: abc}
leasePolicy: {maxTags: 3, keepEnded: 7d, spotNotice: 5m}
hiddenLabels: {keys: [secret]}
deprecatedLabels: {keys: {old: use new}}
reflection: true
""",
    )
    assert settings.authentication.internal.tokenLifetime == timedelta(days=30)
    assert settings.router.others["far"].labels == {"site": "far"}
    assert "abc" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("lisen: x", 1, "unknown key; expected one of .*; did you mean 'listen'"),
        ("kind: ClientConfig", 1, "found text 'ClientConfig'; expected 'ControllerConfig'"),
        ("\nlisten: 8082", 2, "found the whole number 8082; expected text"),
        ("leasePolicy: {maxTags: -1}", 1, "found -1; expected 0 or more"),
        ("authentication:\n  internal: {tokenLifetime: soon}", 2, "expected a duration"),
        ("authentication:\n  jwt: []", 2, "unknown key"),
        ("- a", 1, "found a list; expected a mapping"),
        ("", 1, "the file is empty"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, line: int, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"controller\.yaml:{line}: .*{problem}"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("listen: lab", "listen: found 'lab'; expected HOST:PORT"),
        ("listen: '::1:8082'", "listen: found '::1:8082'"),
        ("endpoints: ['lab:99999']", r"endpoints\[0\]: found 'lab:99999'"),
        ("tls: {certificate: a}", "certificate and key belong together"),
        ("tls: {ca: a}", "tls.ca: of no use without"),
        ("router: {listen: ''}", "clients could not reach a board"),
        ("authentication: {upstream: {controllerKey: a, controllerKeyFile: b}}", "not both"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        read(tmp_path, text)


def test_missing_file() -> None:
    with pytest.raises(FileNotFoundError, match="does not exist"):
        ControllerSettings.from_file(Path("no-such-file.yaml"))


@pytest.mark.parametrize("address", ["127.0.0.1:1", "lab.example.com:8082", "[::1]:8082"])
def test_addresses(address: str) -> None:
    assert join_address(*split_address(address)) == address
