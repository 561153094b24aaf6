from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import click
import pytest
from click.testing import CliRunner
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.common.utils import serve
from jumpstarter.driver import Driver, export
from jumpstarter_driver_composite.client import CompositeClient
from jumpstarter_driver_composite.driver import Composite, Proxy
from jumpstarter_driver_power.driver import MockPower


@dataclass(kw_only=True)
class NoCommands(Driver):
    """A driver whose client has no `cli`."""

    @classmethod
    def client(cls) -> str:
        return "jumpstarter.client.DriverClient"

    @export
    def ping(self) -> str:
        return "pong"


@dataclass(kw_only=True)
class NotInstalled(Driver):
    @classmethod
    def client(cls) -> str:
        return "no_such_package.client.Client"


def names(root: Driver) -> list[str | None]:
    return [name for _, _, name, _ in root.enumerate()]


def cyclic() -> dict[str, Driver]:
    return {
        "each other": Composite(children={"a": Proxy(ref="b"), "b": Proxy(ref="a")}),
        "itself": Composite(children={"a": Proxy(ref="a")}),
        "its parent": Composite(children={"a": Composite(children={"inner": Proxy(ref="a")})}),
        "two groups inside each other": Composite(
            children={
                "a": Composite(children={"to_b": Proxy(ref="b")}),
                "b": Composite(children={"to_a": Proxy(ref="a")}),
            }
        ),
    }


def test_children_are_attributes_of_the_client() -> None:
    with serve(Composite(children={"grp": Composite(children={"power": MockPower()})})) as client:
        client.grp.power.on()
        assert [reading.voltage for reading in client.grp.power.read()] == [0.0, 5.0]
        assert client.children["grp"].children["power"] is client.grp.power
        assert "grp" in dir(client)


def test_closing_a_group_closes_the_clients_that_were_used() -> None:
    with serve(Composite(children={"power": MockPower(), "absent": NotInstalled()})) as client:
        closed: list[str] = []
        client.power.stack.callback(closed.append, "power")
        client.close()
        client.close()
        assert closed == ["power"]


def test_an_unknown_child_is_an_attribute_error_that_lists_the_known() -> None:
    with serve(Composite(children={"power": MockPower()})) as client:
        with pytest.raises(AttributeError, match="no driver 'powr'; its drivers: power"):
            _ = client.powr
        assert not hasattr(client, "powr")


def test_a_proxy_reports_its_target_again_in_its_place() -> None:
    power = MockPower()
    group = Composite(children={"power": power})
    root = Composite(children={"grp": group, "alias": Proxy(ref="grp"), "p": Proxy(ref="grp.power")})
    assert [(str(uuid), parent, name) for uuid, parent, name, _ in root.enumerate()] == [
        (str(root.uuid), None, None),
        (str(group.uuid), root, "grp"),
        (str(power.uuid), group, "power"),
        (str(group.uuid), root, "alias"),
        (str(power.uuid), group, "power"),
        (str(power.uuid), root, "p"),
    ]


def test_calls_through_a_proxy_reach_the_one_instance() -> None:
    root = Composite(
        children={"grp": Composite(children={"power": MockPower()}), "p": Proxy(ref="grp.power")}
    )
    with serve(root) as client:
        client.p.on()
        assert [reading.voltage for reading in client.grp.power.read()] == [0.0, 5.0]
        assert client.p.uuid == client.grp.power.uuid


def test_a_proxy_may_lead_through_another() -> None:
    group = Composite(children={"power": MockPower()})
    root = Composite(
        children={"a": Proxy(ref="grp"), "grp": group, "p": Proxy(ref="a.power"), "q": Proxy(ref="p")}
    )
    with serve(root) as client:
        client.q.on()
        assert client.q.uuid == group.children["power"].uuid
    assert names(root).count("power") == 2


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("grp.p3", "proxy 'x' references nonexistent driver 'grp.p3': driver 'grp' has p1, p2, not 'p3'"),
        ("gpr.p1", "did you mean 'grp'?"),
        ("grp.p1.deeper", "driver 'grp.p1' has no children, not 'deeper'"),
        ("", "not ''"),
    ],
)
def test_a_ref_to_nothing_is_a_configuration_error(ref: str, message: str) -> None:
    group = Composite(children={"p1": MockPower(), "p2": MockPower()})
    root = Composite(children={"grp": group, "x": Proxy(ref=ref)})
    with pytest.raises(ConfigurationError) as error:
        root.enumerate()
    assert message in str(error.value)


@pytest.mark.parametrize("case", cyclic())
def test_a_cycle_of_refs_is_a_configuration_error(case: str) -> None:
    with pytest.raises(ConfigurationError, match="leads back to itself"):
        cyclic()[case].enumerate()


def test_a_proxy_cannot_be_the_root() -> None:
    with pytest.raises(ConfigurationError, match="cannot be the root"):
        Proxy(ref="power").enumerate()


def test_the_group_has_a_subcommand_for_each_child_with_commands() -> None:
    root = Composite(children={"power": MockPower(), "quiet": NoCommands(), "absent": NotInstalled()})
    with serve(root) as client:
        assert client.quiet.call("ping") == "pong"
        result = CliRunner().invoke(client.cli(), ["--help"])
    assert result.exit_code == 0
    assert "Generic composite device" in result.stdout
    assert result.stdout.split("Commands:")[1].split() == ["power", "Generic", "power"]


def test_subcommands_run_and_unknown_ones_are_a_usage_error() -> None:
    with serve(Composite(children={"grp": Composite(children={"power": MockPower()})})) as client:
        assert CliRunner().invoke(client.cli(), ["grp", "power", "on"]).stdout == "ok\n"
        assert [reading.voltage for reading in client.grp.power.read()] == [0.0, 5.0]
        assert CliRunner().invoke(client.cli(), ["nosuch"]).exit_code == 2


def test_descriptions_replace_help_texts() -> None:
    power = MockPower(description="Bench supply", methods_description={"on": "Feed the board"})
    with serve(Composite(children={"power": power}, description="My lab")) as client:
        top = CliRunner().invoke(client.cli(), ["--help"]).stdout
        below = CliRunner().invoke(client.cli(), ["power", "--help"]).stdout
    assert "My lab" in top
    assert "Bench supply" in top
    assert "Feed the board" in below


def test_subclasses_add_commands_of_their_own() -> None:
    class Board(CompositeClient):
        def cli(self) -> click.Group:
            base = super().cli()

            @base.command()
            def version() -> None:
                """Print the version"""
                click.echo("7")

            return base

    with serve(Composite(children={"power": MockPower()})) as client:
        board: Any = client
        board.__class__ = Board
        assert CliRunner().invoke(board.cli(), ["version"]).stdout == "7\n"
        assert CliRunner().invoke(board.cli(), ["power", "on"]).stdout == "ok\n"


def test_client_modules_do_not_import_heavy_libraries() -> None:
    modules = "jumpstarter_driver_composite.client, jumpstarter_driver_power.client, "
    modules += "jumpstarter_driver_shell.client, jumpstarter_driver_opendal.client"
    heavy = ["pydantic", "anyio", "yaml", "rich", "requests", "opendal", "pexpect"]
    code = f"import sys, {modules}; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


def test_a_subcommand_builds_no_client_but_its_own() -> None:
    code = """
import sys
from jumpstarter.common.utils import serve
from jumpstarter_driver_composite.driver import Composite
from jumpstarter_driver_opendal.driver import MockFlasher
from jumpstarter_driver_power.driver import MockPower
with serve(Composite(children={"power": MockPower(), "flasher": MockFlasher()})) as client:
    client.cli().main(["power", "on"], standalone_mode=False)
print([name for name in sys.modules if name.endswith("driver_opendal.client")])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "ok\n[]\n"
