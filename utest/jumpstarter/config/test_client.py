from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jumpstarter.common.exceptions import (
    ConfigurationError,
    EnvironmentVariableNotSetError,
    FileAccessError,
    FileNotFoundError,
)
from jumpstarter.config.client import (
    ClientConfigV1Alpha1,
    ClientConfigV1Alpha1Drivers,
    ClientConfigV1Alpha1Lease,
    resolve_client_config,
)
from jumpstarter.config.common import ObjectMeta
from jumpstarter.config.tls import TLSConfigV1Alpha1
from jumpstarter.config.user import UserConfigV1Alpha1

from .conftest import Homes

DOCUMENTED = """\
apiVersion: jumpstarter.dev/v1alpha1
kind: Client
metadata:
  name: myclient
  namespace: jumpstarter-lab
tls:
  insecure: false
  ca: ""
endpoint: "jumpstarter.my-lab.com:1443"
token: "secret-token"
drivers:
  allow: ["jumpstarter_drivers_*", "vendorpackage.*"]
"""


def write_client(homes: Homes, alias: str = "lab", text: str = DOCUMENTED, home: str = "user") -> Path:
    return homes.write(home, f"clients/{alias}.yaml", text)


def test_the_documented_file(homes: Homes) -> None:
    write_client(homes)
    config = ClientConfigV1Alpha1.load("lab")
    assert config == ClientConfigV1Alpha1(
        alias="lab",
        path=homes.user / "clients/lab.yaml",
        kind="Client",
        metadata=ObjectMeta(namespace="jumpstarter-lab", name="myclient"),
        endpoint="jumpstarter.my-lab.com:1443",
        token="secret-token",
        drivers=ClientConfigV1Alpha1Drivers(allow=["jumpstarter_drivers_*", "vendorpackage.*"]),
    )
    assert "secret-token" not in repr(config)


def test_every_key_survives_a_round_trip(homes: Homes) -> None:
    config = ClientConfigV1Alpha1(
        alias="full",
        metadata=ObjectMeta(namespace="ns", name="me"),
        endpoint="h:1",
        tls=TLSConfigV1Alpha1(ca="Y2E=", insecure=True),
        token="on",
        refresh_token="123",
        grpcOptions={"grpc.keepalive_time_ms": 20000, "x": "y"},
        drivers=ClientConfigV1Alpha1Drivers(allow=["a.*"], unsafe=True),
        leases=ClientConfigV1Alpha1Lease(acquisition_timeout=5, dial_timeout=1.5, retry_timeout=0),
    )
    config.shell.use_profiles = True
    path = config.save()
    assert path == homes.user / "clients/full.yaml"
    assert ClientConfigV1Alpha1.load("full") == config


def test_a_new_file_has_the_keys_that_stock_clients_need(homes: Homes) -> None:
    path = ClientConfigV1Alpha1(alias="new", metadata=ObjectMeta(name="me"), endpoint="h:1", token="t").save()
    assert yaml.safe_load(path.read_text()) == {
        "apiVersion": "jumpstarter.dev/v1alpha1",
        "kind": "ClientConfig",
        "metadata": {"namespace": None, "name": "me"},
        "endpoint": "h:1",
        "token": "t",
        "drivers": {"allow": [], "unsafe": False},
    }


def test_saving_is_private_atomic_and_leaves_nothing_behind(homes: Homes) -> None:
    path = write_client(homes)
    path.chmod(0o644)
    config = ClientConfigV1Alpha1.load("lab")
    config.token = "new"
    config.save()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    new = ClientConfigV1Alpha1(alias="x", metadata=ObjectMeta(name="x")).save()
    assert stat.S_IMODE(new.stat().st_mode) == 0o600
    assert sorted(each.name for each in path.parent.iterdir()) == ["lab.yaml", "x.yaml"]
    assert ClientConfigV1Alpha1.load("lab").token == "new"


def test_a_failing_write_keeps_the_old_file(homes: Homes) -> None:
    path = write_client(homes)
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "from jumpstarter.config.client import ClientConfigV1Alpha1\n"
        "from jumpstarter.common.exceptions import FileAccessError\n"
        "config = ClientConfigV1Alpha1.load('lab')\n"
        "config.token = 'x' * 200\n"
        "try: config.save()\n"
        "except FileAccessError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-B", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == f"{path}: cannot be written: file too large\n"
    assert path.read_text() == DOCUMENTED
    assert [each.name for each in path.parent.iterdir()] == ["lab.yaml"]


def test_a_link_stays_a_link(homes: Homes, tmp_path: Path) -> None:
    real = tmp_path / "real.yaml"
    real.write_text(DOCUMENTED)
    link = homes.user / "clients/lab.yaml"
    link.parent.mkdir(parents=True)
    link.symlink_to(real)
    config = ClientConfigV1Alpha1.load("lab")
    config.token = "new"
    config.save()
    assert link.is_symlink()
    assert "token: new" in real.read_text()


@pytest.mark.parametrize("text", ["a.*,b.*", "[a.*, b.*]", "'a.*, b.*,'"])
def test_allow_is_a_list_or_text_with_commas(homes: Homes, text: str) -> None:
    write_client(homes, text=f"metadata: {{name: x}}\ndrivers:\n  allow: {text}\n")
    assert ClientConfigV1Alpha1.load("lab").drivers.allow == ["a.*", "b.*"]


def test_the_word_unsafe_allows_all(homes: Homes) -> None:
    write_client(homes, text="metadata: {name: x}\ndrivers: {allow: UNSAFE}\n")
    assert ClientConfigV1Alpha1.load("lab").drivers.unsafe


def test_a_file_with_an_endpoint_only_is_named_after_itself(homes: Homes) -> None:
    write_client(homes, "default", 'endpoint: "jumpstarter1.my-lab.com:1443"\n')
    assert ClientConfigV1Alpha1.load("default").metadata == ObjectMeta(name="default")


def test_problems_of_a_client_file(homes: Homes) -> None:
    path = write_client(
        homes,
        text="kind: Client\nmetadata: {}\nendpiont: x\nleases: {acquisition_timeout: 1, dial_timeout: 0}\n",
    )
    with pytest.raises(ConfigurationError) as caught:
        ClientConfigV1Alpha1.load("lab")
    first, second, third, fourth = str(caught.value).split("\n")
    assert first == f"{path}:2: metadata.name: missing; expected text"
    assert second.startswith(f"{path}:3: endpiont: unknown key; expected one of apiVersion, kind, ")
    assert second.endswith("; did you mean 'endpoint'?")
    assert third == f"{path}:4: leases.acquisition_timeout: found 1; expected 5 or more"
    assert fourth == f"{path}:4: leases.dial_timeout: found 0.0; expected more than 0"


# Places and precedence


def test_environment_over_user_file_over_system_file(homes: Homes, monkeypatch: pytest.MonkeyPatch) -> None:
    write_client(homes, home="system", text="endpoint: system:1\n")
    assert ClientConfigV1Alpha1.load("lab").endpoint == "system:1"
    write_client(homes, text="endpoint: user:1\ntoken: filetoken\nmetadata: {name: n, namespace: ns}\n")
    assert ClientConfigV1Alpha1.load("lab").endpoint == "user:1"
    monkeypatch.setenv("JMP_ENDPOINT", "environment:1")
    monkeypatch.setenv("JMP_TOKEN", "envtoken")
    monkeypatch.setenv("JMP_NAME", "envname")
    config = ClientConfigV1Alpha1.load("lab")
    assert (config.endpoint, config.token) == ("environment:1", "envtoken")
    assert config.metadata == ObjectMeta(namespace="ns", name="envname")
    assert ClientConfigV1Alpha1.load("lab", environment=False).endpoint == "user:1"


@pytest.mark.parametrize(
    ("variable", "value", "expression", "expected"),
    [
        ("JMP_NAMESPACE", "n", "config.metadata.namespace", "n"),
        ("JMP_REFRESH_TOKEN", "r", "config.refresh_token", "r"),
        ("JMP_DRIVERS_ALLOW", "a.*,b.*", "config.drivers.allow", ["a.*", "b.*"]),
        ("JMP_DRIVERS_ALLOW", "", "config.drivers.allow", []),
        ("JMP_DRIVERS_ALLOW", "UNSAFE", "config.drivers.unsafe", True),
        ("JMP_DRIVERS_UNSAFE", "true", "config.drivers.unsafe", True),
        ("JMP_DRIVERS_UNSAFE", "0", "config.drivers.unsafe", False),
        ("JMP_DRIVERS", '{"allow": ["c.*"]}', "config.drivers.allow", ["c.*"]),
        ("JUMPSTARTER_GRPC_INSECURE", "1", "config.tls.insecure", True),
        ("JMP_GRPC_INSECURE", "1", "config.tls.insecure", True),
        ("JMP_TLS", '{"ca": "eA=="}', "config.tls.ca", "eA=="),
        ("JMP_METADATA", '{"name": "j"}', "config.metadata.name", "j"),
        ("JMP_GRPCOPTIONS", '{"a": 1}', "config.grpcOptions", {"a": 1}),
        ("JMP_SHELL", '{"use_profiles": true}', "config.shell.use_profiles", True),
        ("JMP_LEASES", '{"retry_timeout": 7}', "config.leases.retry_timeout", 7.0),
        ("JMP_RETRY_TIMEOUT", "0", "config.leases.retry_timeout", 0.0),
        ("JMP_RETRY_TIMEOUT", "5m", "config.leases.retry_timeout", 300.0),
        ("JMP_DIAL_TIMEOUT", "2.5", "config.leases.dial_timeout", 2.5),
        ("JMP_ACQUISITION_TIMEOUT", "1h", "config.leases.acquisition_timeout", 3600),
        ("RETRY_TIMEOUT", "7", "config.leases.retry_timeout", 300.0),
        ("DIAL_TIMEOUT", "7", "config.leases.dial_timeout", 30.0),
        ("ACQUISITION_TIMEOUT", "7", "config.leases.acquisition_timeout", 7200),
        ("JMP_ENDPOINT", "", "config.endpoint", "jumpstarter.my-lab.com:1443"),
    ],
)
def test_variables(
    homes: Homes,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    expression: str,
    expected: object,
) -> None:
    write_client(homes)
    monkeypatch.setenv(variable, value)
    found: object = ClientConfigV1Alpha1.load("lab")
    for name in expression.split(".")[1:]:
        found = getattr(found, name)
    assert found == expected


def test_an_allow_list_in_the_environment_replaces_unsafe_of_the_file(
    homes: Homes, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_client(homes, text="metadata: {name: x}\ndrivers: {unsafe: true}\n")
    monkeypatch.setenv("JMP_DRIVERS_ALLOW", "a.*")
    assert ClientConfigV1Alpha1.load("lab").drivers == ClientConfigV1Alpha1Drivers(allow=["a.*"])


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("JMP_DRIVERS_UNSAFE", "maybe", "drivers.unsafe: found 'maybe'; expected 1, true, yes or on, or 0,"),
        (
            "JMP_RETRY_TIMEOUT",
            "soon",
            "leases.retry_timeout: found 'soon'; expected a duration such as 90, 30m",
        ),
        ("JMP_ACQUISITION_TIMEOUT", "1s", "leases.acquisition_timeout: found 1; expected 5 or more"),
        (
            "JMP_TLS",
            '{"insecur": true}',
            "tls.insecur: unknown key; expected one of ca, insecure; did you mean",
        ),
        ("JMP_TLS", "true", "tls: found the boolean true; expected a mapping with the keys ca, insecure"),
    ],
)
def test_a_bad_variable_is_named(
    homes: Homes, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, line: str
) -> None:
    write_client(homes)
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError) as caught:
        ClientConfigV1Alpha1.load("lab")
    assert str(caught.value).startswith(f"{variable}: {line}")


def test_saving_does_not_write_the_environment(homes: Homes, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_client(homes, text=DOCUMENTED + "leases: {retry_timeout: 600.0}\n")
    before = yaml.safe_load(path.read_text())
    for variable, value in {
        "JMP_TOKEN": "envtoken",
        "JMP_NAME": "envname",
        "JMP_REFRESH_TOKEN": "envrefresh",
        "JMP_DRIVERS_ALLOW": "UNSAFE",
        "JMP_RETRY_TIMEOUT": "300",
        "JMP_TLS": '{"ca": "eA=="}',
        "JMP_GRPC_INSECURE": "1",
    }.items():
        monkeypatch.setenv(variable, value)
    config = ClientConfigV1Alpha1.load("lab")
    config.endpoint = "other:1"
    config.refresh_token = "renewed"
    config.save()
    after = yaml.safe_load(path.read_text())
    del before["tls"]  # its defaults
    assert after == {
        **before,
        "endpoint": "other:1",
        "refresh_token": "renewed",
        "drivers": {**before["drivers"], "unsafe": False},
    }


def test_environment_alone(homes: Homes, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ClientConfigV1Alpha1.try_from_env() is None
    with pytest.raises(EnvironmentVariableNotSetError, match="JMP_NAMESPACE and JMP_NAME not set"):
        ClientConfigV1Alpha1.from_env()
    monkeypatch.setenv("JMP_NAMESPACE", "ns")
    monkeypatch.setenv("JMP_NAME", "me")
    config = ClientConfigV1Alpha1.try_from_env()
    assert config is not None
    assert config.metadata == ObjectMeta(namespace="ns", name="me")
    assert config.path is None


def test_which_client_is_used(homes: Homes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def used() -> str | None:
        return resolve_client_config().endpoint

    with pytest.raises(ConfigurationError, match="create one with 'jmp config client create NAME'"):
        used()
    monkeypatch.setenv("JMP_NAMESPACE", "ns")
    monkeypatch.setenv("JMP_NAME", "me")
    assert used() is None
    write_client(homes, "default", "endpoint: default:1\n")
    assert used() == "default:1"
    for name in ("current", "alias", "option"):
        write_client(homes, name, f"endpoint: {name}:1\n")
    UserConfigV1Alpha1().use_client("current")
    assert used() == "current:1"
    monkeypatch.setenv("JMP_CLIENT", "alias")
    assert used() == "alias:1"
    path = tmp_path / "by-path.yaml"
    path.write_text("endpoint: path:1\n")
    monkeypatch.setenv("JMP_CLIENT_CONFIG", str(path))
    assert used() == "path:1"
    assert resolve_client_config(client="option").endpoint == "option:1"
    assert resolve_client_config(client_config=homes.user / "clients/option.yaml").endpoint == "option:1"
    monkeypatch.setenv("JMP_ENDPOINT", "environment:1")
    assert resolve_client_config(client="option").endpoint == "environment:1"


def test_a_complete_environment_comes_before_the_current_client(
    homes: Homes, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_client(homes, "current", DOCUMENTED)
    UserConfigV1Alpha1().use_client("current")
    for name in ("JMP_NAMESPACE", "JMP_NAME", "JMP_ENDPOINT"):
        monkeypatch.setenv(name, "environment:1")
    config = resolve_client_config()
    assert (config.endpoint, config.token) == ("environment:1", None)


# Aliases


def test_a_missing_alias_is_said_with_places_and_the_nearest(homes: Homes) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        ClientConfigV1Alpha1.load("lab")
    user, system = homes.user / "clients/lab.yaml", homes.system / "clients/lab.yaml"
    assert str(caught.value) == (
        f"client config 'lab' not found: neither {user} nor {system} exists; "
        "create one with 'jmp config client create lab'"
    )
    write_client(homes, "labor")
    with pytest.raises(FileNotFoundError, match=r"; did you mean 'labor'\?$"):
        ClientConfigV1Alpha1.ensure_exists("lab")
    with pytest.raises(FileNotFoundError, match=r"; there is labor$"):
        ClientConfigV1Alpha1.load("xyz")
    with pytest.raises(FileNotFoundError, match=r"file 'nope/x\.yaml' not found: .*there is no directory"):
        ClientConfigV1Alpha1.from_file("nope/x.yaml")


def test_folder_of_the_users_files_is_made_on_request(homes: Homes) -> None:
    folder = homes.user / "clients"
    assert not folder.exists()
    for _ in range(2):
        ClientConfigV1Alpha1.ensure_exists()
        assert folder.stat().st_mode & 0o777 == 0o700
    folder.rmdir()
    folder.write_text("a file")
    with pytest.raises(FileAccessError, match=r"clients: cannot be made: file exists"):
        ClientConfigV1Alpha1.ensure_exists()


@pytest.mark.parametrize("alias", ["", ".", "..", "a/b", "../x", "a\\b", "a\0b"])
def test_an_alias_cannot_leave_its_folder(homes: Homes, alias: str) -> None:
    for use in (ClientConfigV1Alpha1.load, ClientConfigV1Alpha1.exists, ClientConfigV1Alpha1.delete):
        with pytest.raises(ConfigurationError, match="cannot be the alias of a client config"):
            use(alias)


def test_list_has_all_files_as_they_stand_and_says_what_is_wrong_with_others(
    homes: Homes, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_client(homes, "b", "endpoint: user:1\n")
    write_client(homes, "b", "endpoint: system:1\n", home="system")
    write_client(homes, "a", "endpoint: system:1\n", home="system")
    broken = write_client(homes, "broken", "kind: x\n")
    UserConfigV1Alpha1().use_client("b")
    monkeypatch.setenv("JMP_ENDPOINT", "environment:1")
    found = ClientConfigV1Alpha1.list()
    assert [(item.alias, item.endpoint) for item in found.items] == [("a", "system:1"), ("b", "user:1")]
    assert found.current_config == "b"
    assert found.problems == [f"{broken}:1: kind: found text 'x'; expected one of 'ClientConfig', 'Client'"]
    data = json.loads(found.dump_json())
    assert data == yaml.safe_load(found.dump_yaml())
    assert (data["kind"], data["currentConfig"], data["items"][1]["alias"]) == ("ClientConfigList", "b", "b")


def test_delete_removes_the_users_file_only(homes: Homes) -> None:
    path = write_client(homes)
    system = write_client(homes, "shared", home="system")
    UserConfigV1Alpha1().use_client("lab")
    assert ClientConfigV1Alpha1.delete("lab") == path
    assert not path.exists()
    assert UserConfigV1Alpha1.load().config.current_client_alias is None
    with pytest.raises(ConfigurationError, match="client config 'shared' is the system's"):
        ClientConfigV1Alpha1.delete("shared")
    assert system.exists()
    with pytest.raises(FileNotFoundError):
        ClientConfigV1Alpha1.delete("lab")
