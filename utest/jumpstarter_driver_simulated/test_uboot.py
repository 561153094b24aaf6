"""The U-Boot driver at the simulated board's boot prompt."""

from __future__ import annotations

import pytest
from jumpstarter.common.utils import serve
from jumpstarter_driver_composite.driver import Composite, Proxy
from jumpstarter_driver_simulated.driver import SimulatedBoard
from jumpstarter_driver_uboot.driver import UbootConsole


def test_uboot_driver_works_at_the_boot_prompt() -> None:
    children = {"power": Proxy(ref="board.power"), "serial": Proxy(ref="board.serial")}
    root = Composite(children={"board": SimulatedBoard(), "uboot": UbootConsole(children=children)})
    with serve(root) as client, client.uboot.reboot_to_console():
        assert b"U-Boot" in client.uboot.run_command("version")
        client.uboot.set_env("greeting", "hello")
        assert client.uboot.get_env("greeting") == "hello"
        assert client.uboot.get_env("nothing") is None
        client.uboot.set_env("greeting", None)
        assert client.uboot.get_env("greeting") is None
        assert str(client.uboot.setup_dhcp().ip_address) == "10.0.2.15"
        with pytest.raises(RuntimeError):
            client.uboot.run_command_checked("nosuchcommand")
