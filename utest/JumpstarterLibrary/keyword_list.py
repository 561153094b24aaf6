"""The keywords of a tree as text, for the snapshot; and the tree of the snapshot.

``python utest/JumpstarterLibrary/keyword_list.py`` writes the snapshot again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from jumpstarter.common.utils import serve
from jumpstarter.driver import Driver
from robot.api import TypeInfo

from JumpstarterLibrary.adapters import Context
from JumpstarterLibrary.consoles import Consoles
from JumpstarterLibrary.generation import Generated, driver_keywords
from JumpstarterLibrary.standard import standard_names
from JumpstarterLibrary.timeouts import Timeouts

SNAPSHOT = Path(__file__).parent / "keywords.txt"


def tree() -> Driver:
    """One driver of each family that the library is to name well, some of them nested."""
    from jumpstarter_driver_composite.driver import Composite, Proxy
    from jumpstarter_driver_network.driver import TcpNetwork
    from jumpstarter_driver_opendal.driver import MockFlasher, MockStorageMux, MockStorageMuxFlasher, Opendal
    from jumpstarter_driver_power.driver import MockPower
    from jumpstarter_driver_pyserial.driver import PySerial
    from jumpstarter_driver_qemu.driver import Qemu
    from jumpstarter_driver_shell.driver import Shell
    from jumpstarter_driver_uboot.driver import UbootConsole

    return Composite(
        children={
            "power": MockPower(),
            "serial": PySerial(url="loop://"),
            "storage": MockStorageMux(),
            "flasher": MockFlasher(),
            "card": MockStorageMuxFlasher(),
            "files": Opendal(scheme="memory", kwargs={}),
            "shell": Shell(methods={"greet": "echo hello"}),
            "network": TcpNetwork(host="127.0.0.1", port=1),
            "dut": Composite(children={"power": MockPower(), "uart-a": PySerial(url="loop://")}),
            "uboot": UbootConsole(children={"power": Proxy(ref="power"), "serial": Proxy(ref="serial")}),
            "qemu": Qemu(arch="aarch64"),
        }
    )


@contextmanager
def generated(root: Driver, reserved: frozenset[str] | None = None) -> Iterator[tuple[Any, Generated]]:
    """The client of *root*, served over a socket, and its keywords."""
    with serve(root) as client, ExitStack() as cleanup:
        consoles = Consoles()
        cleanup.callback(consoles.close)

        def context(path: tuple[str, ...]) -> Context:
            return Context(path, Timeouts(), consoles, cleanup)

        yield client, driver_keywords(client, context, standard_names() if reserved is None else reserved)


def text_of(found: Generated) -> str:
    """A line for each keyword, an indented one for each argument."""
    lines = []
    for name, keyword in sorted(found.keywords.items()):
        lines.append(f"{name}  ({', '.join(keyword.robot_tags)})")
        types = keyword.signature.types
        for argument in keyword.signature.specification:
            shown = argument if isinstance(argument, str) else f"{argument[0]}={argument[1]}"
            kind = types.get((argument if isinstance(argument, str) else argument[0]).lstrip("*"))
            lines.append(f"    {shown}" + (f": {TypeInfo.from_type_hint(kind)}" if kind is not None else ""))
        if "return" in types:
            lines.append(f"    -> {TypeInfo.from_type_hint(types['return'])}")
    return "\n".join(
        [*lines, *(f"note: {n}" for n in found.notes), *(f"warning: {w}" for w in found.warnings), ""]
    )


if __name__ == "__main__":
    with generated(tree()) as (_, found):
        SNAPSHOT.write_text(text_of(found), "utf-8")
