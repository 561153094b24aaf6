from __future__ import annotations

import stat
from pathlib import Path

import grpc
import pytest
import yaml
from jumpstarter.common.exceptions import ConfigurationError, FileNotFoundError
from jumpstarter.common.grpc import close_channel, grpc_options
from jumpstarter.config.common import ObjectMeta
from jumpstarter.config.exporter import (
    ExporterConfigV1Alpha1,
    ExporterConfigV1Alpha1DriverInstance,
    FailureDetectionConfigV1Alpha1,
    HookConfigV1Alpha1,
    HookInstanceConfigV1Alpha1,
)
from jumpstarter.config.tls import TLSConfigV1Alpha1

from .conftest import Homes

DOCUMENTED = """\
apiVersion: jumpstarter.dev/v1alpha1
kind: %s
metadata:
  namespace: default
  name: demo
endpoint: grpc.jumpstarter.example.com:443
token: xxxxx
grpcConfig:
    grpc.keepalive_time_ms: 20000
export:
  power:
    type: jumpstarter_driver_power.driver.MockPower
    config:
      # Add required config parameters here
  serial:
    type: "jumpstarter_driver_pyserial.driver.PySerial"
    config:
      url: "loop://"
      baudrate: 115200
  reference:
    ref: "power"
"""
MINIMAL = "metadata: {name: %s}\nexport: {}\n"


def load(tmp_path: Path, text: str) -> ExporterConfigV1Alpha1:
    path = tmp_path / "e.yaml"
    path.write_text(text)
    return ExporterConfigV1Alpha1.load_path(path)


@pytest.mark.parametrize("key", ["grpcConfig", "grpcOptions"])
def test_options_of_grpc_may_be_booleans(homes: Homes, tmp_path: Path, key: str) -> None:
    options = "{grpc.enable_retries: false, grpc.http2.x: true, grpc.y: 1, grpc.z: 'true'}"
    config = load(tmp_path, MINIMAL % "demo" + f"{key}: {options}\n")
    expected = [("grpc.enable_retries", False), ("grpc.http2.x", True), ("grpc.y", 1), ("grpc.z", "true")]
    assert grpc_options(config.grpcOptions) == expected
    assert [type(value) for _, value in grpc_options(config.grpcOptions)] == [bool, bool, int, str]
    # gRPC itself takes them all.
    close_channel(grpc.insecure_channel("localhost:1", options=grpc_options(config.grpcOptions)))


@pytest.mark.parametrize("value", ["1.5", "[1]", "{a: 1}", "null"])
def test_options_of_grpc_that_it_could_not_take_are_told(homes: Homes, tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigurationError, match=r"e\.yaml:3: grpcConfig\.grpc\.x"):
        load(tmp_path, MINIMAL % "demo" + f"grpcConfig: {{grpc.x: {value}}}\n")


@pytest.mark.parametrize("kind", ["Exporter", "ExporterConfig"])
def test_the_documented_file(homes: Homes, tmp_path: Path, kind: str) -> None:
    config = load(tmp_path, DOCUMENTED % kind)
    assert config.kind == kind
    assert config.metadata == ObjectMeta(namespace="default", name="demo")
    assert config.grpcOptions == {"grpc.keepalive_time_ms": 20000}
    assert config.export["power"] == ExporterConfigV1Alpha1DriverInstance(
        type="jumpstarter_driver_power.driver.MockPower"
    )
    root = config.instantiate()
    try:
        assert [type(child).__name__ for child in root.children.values()] == [
            "MockPower",
            "PySerial",
            "Proxy",
        ]
        assert root.children["serial"].baudrate == 115200
    finally:
        root.close()


def test_hooks_in_both_spellings(homes: Homes, tmp_path: Path) -> None:
    text = MINIMAL % "x" + (
        "hooks:\n  beforeLease: {script: a, exec: bash, timeout: 5, onFailure: endLease}\n"
        "  after_lease: {script: b, on_failure: exit}\n"
        "failureDetection: {maxRapidFailures: 2, rapidFailureWindow: 30}\n"
        "description: board\nmotd: hello\nexitOnLeaseEnd: true\n"
    )
    config = load(tmp_path, text)
    assert config.hooks == HookConfigV1Alpha1(
        before_lease=HookInstanceConfigV1Alpha1(script="a", exec_="bash", timeout=5, on_failure="endLease"),
        after_lease=HookInstanceConfigV1Alpha1(script="b", exec_=None, timeout=120, on_failure="exit"),
    )
    assert config.failure_detection == FailureDetectionConfigV1Alpha1(
        max_rapid_failures=2, rapid_failure_window=30
    )
    assert (config.description, config.motd, config.exitOnLeaseEnd) == ("board", "hello", True)


def test_every_key_survives_a_round_trip(homes: Homes) -> None:
    leaf = ExporterConfigV1Alpha1DriverInstance(
        type="jumpstarter_driver_power.driver.MockPower",
        description="d",
        methods_description={"on": "Switch on"},
        config={"log_level": "DEBUG", "labels": {"a": "1"}},
    )
    config = ExporterConfigV1Alpha1(
        alias="full",
        metadata=ObjectMeta(name="full"),
        endpoint="h:1",
        tls=TLSConfigV1Alpha1(insecure=True),
        token="t",
        grpcOptions={"a": 1},
        description="x",
        motd="m",
        exitOnLeaseEnd=True,
        export={
            "group": ExporterConfigV1Alpha1DriverInstance(children={"leaf": leaf}),
            "alias": ExporterConfigV1Alpha1DriverInstance(ref="group.leaf"),
        },
        hooks=HookConfigV1Alpha1(after_lease=HookInstanceConfigV1Alpha1(script="s", exec_="sh", timeout=1)),
        failure_detection=FailureDetectionConfigV1Alpha1(max_rapid_failures=1),
    )
    path = config.save()
    assert path == homes.user / "exporters/full.yaml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ExporterConfigV1Alpha1.load("full") == config


def test_a_new_file_has_the_keys_that_stock_exporters_need(homes: Homes) -> None:
    path = ExporterConfigV1Alpha1(
        alias="new", metadata=ObjectMeta(namespace="ns", name="new"), endpoint="h:1", token="t"
    ).save()
    assert yaml.safe_load(path.read_text()) == {
        "apiVersion": "jumpstarter.dev/v1alpha1",
        "kind": "ExporterConfig",
        "metadata": {"namespace": "ns", "name": "new"},
        "endpoint": "h:1",
        "token": "t",
        "export": {},
    }


def test_environment_over_user_file_over_system_file(homes: Homes, monkeypatch: pytest.MonkeyPatch) -> None:
    homes.write("system", "exporters/e.yaml", MINIMAL % "system" + "endpoint: system:1\n")
    assert ExporterConfigV1Alpha1.load("e").endpoint == "system:1"
    assert not ExporterConfigV1Alpha1.user_config_exists("e")
    assert ExporterConfigV1Alpha1.resolve_path("e") == homes.system / "exporters/e.yaml"
    path = homes.write("user", "exporters/e.yaml", "endpoint: user:1\nexport: {}\n")
    assert ExporterConfigV1Alpha1.resolve_path("e") == path
    with pytest.raises(
        ConfigurationError, match=r"e\.yaml:1: metadata: missing; expected a mapping with the keys"
    ):
        ExporterConfigV1Alpha1.load("e")
    for name in ("JMP_NAME", "JMP_NAMESPACE", "JMP_ENDPOINT", "JMP_TOKEN"):
        monkeypatch.setenv(name, f"{name.lower()}:1")
    config = ExporterConfigV1Alpha1.load("e")
    assert config.metadata == ObjectMeta(namespace="jmp_namespace:1", name="jmp_name:1")
    assert (config.endpoint, config.token) == ("jmp_endpoint:1", "jmp_token:1")


def test_form_alone_can_be_read_where_drivers_are_not_installed(homes: Homes) -> None:
    text = MINIMAL.replace("{}", "{a: {type: not_installed.driver.X, config: {b: 1}}}") % "e"
    homes.write("user", "exporters/e.yaml", text)
    with pytest.raises(ConfigurationError, match="package 'not_installed' is not installed"):
        ExporterConfigV1Alpha1.load("e")
    config = ExporterConfigV1Alpha1.load("e", check_drivers=False)
    assert config.export["a"].config == {"b": 1}
    with pytest.raises(
        ConfigurationError, match=r"e\.yaml:2: export\.a: package 'not_installed' is not installed"
    ):
        config.instantiate()
    assert [item.alias for item in ExporterConfigV1Alpha1.list().items] == ["e"]


def test_list_and_delete(homes: Homes) -> None:
    homes.write("system", "exporters/s.yaml", MINIMAL % "s")
    path = homes.write("user", "exporters/u.yaml", MINIMAL % "u")
    homes.write("user", "exporters/.u.yaml.x.yaml", "left by a crash")
    found = ExporterConfigV1Alpha1.list()
    assert [item.alias for item in found.items] == ["s", "u"]
    assert [item["path"] for item in found.to_plain()["items"]] == [str(item.path) for item in found.items]
    assert ExporterConfigV1Alpha1.delete("u") == path
    with pytest.raises(ConfigurationError, match=r"exporter config 's' is the system's .*administrator"):
        ExporterConfigV1Alpha1.delete("s")
    with pytest.raises(
        FileNotFoundError, match=r"exporter config 'u' not found: neither .* nor .* exists; there is s"
    ):
        ExporterConfigV1Alpha1.delete("u")


def test_a_missing_path_is_said_with_the_nearest_file(tmp_path: Path) -> None:
    (tmp_path / "example.yaml").write_text("")
    with pytest.raises(FileNotFoundError) as caught:
        ExporterConfigV1Alpha1.load_path(tmp_path / "exmaple.yaml")
    missing = tmp_path / "exmaple.yaml"
    assert str(caught.value) == (
        f"exporter config file '{missing}' not found: {missing} does not exist; did you mean 'example.yaml'?"
    )


def test_serving_a_file(homes: Homes, tmp_path: Path) -> None:
    from jumpstarter.client.client import connect_path

    config = load(tmp_path, DOCUMENTED % "Exporter")
    with config.serve_unix() as path, connect_path(path, allow=[], unsafe=True) as client:
        client.power.on()
        assert client.reference.uuid == client.power.uuid
        assert list(client.children) == ["power", "serial", "reference"]


def test_the_root_has_the_exporters_description(homes: Homes, tmp_path: Path) -> None:
    assert load(tmp_path, MINIMAL % "x" + "description: my board\n").instantiate().description == "my board"
