"""What an exporter says, on the terminals of its clients: no control characters, wherever it is shown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Cli

DRIVER = """
from dataclasses import dataclass
import click
from jumpstarter.client import DriverClient
from jumpstarter.client.decorators import driver_click_group
from jumpstarter.driver import Driver, export

EVIL = "\\x1b[2J\\x1b]0;owned\\x07\\x9b31m\\rfake\\u202e"

@dataclass(kw_only=True)
class Rude(Driver):
    def __post_init__(self):
        super().__post_init__()
        self.description = "Says " + EVIL
        self.methods_description = {"fail": "Fails " + EVIL}
    @classmethod
    def client(cls): return "rude.RudeClient"
    @export
    def fail(self):
        self.logger.warning("log %s", EVIL)
        raise RuntimeError("error " + EVIL)

@dataclass(kw_only=True)
class RudeClient(DriverClient):
    def cli(self):
        @driver_click_group(self)
        def base(): "Rude"
        @base.command()
        def fail(): self.call("fail")
        return base
"""

CONFIG = """\
metadata: {name: rude}
export:
  rude: {type: rude.Rude}
  "na\\e[31mme": {type: rude.Rude, description: "Also \\e[1m"}
hooks:
  beforeLease: {script: "printf 'hook \\\\033[31mred\\\\n'"}
"""

CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]")


@pytest.fixture
def rude(cli: Cli, tmp_path: Path) -> Path:
    (tmp_path / "rude.py").write_text(DRIVER)
    cli.extra["PYTHONPATH"] = str(tmp_path)
    return cli.exporter("rude", CONFIG)


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("j", r"Says \x1b[2J"),
        ("j --help", r"na\x1b[31mme"),
        ("j rude --help", r"Fails \x1b[2J"),
        ("j rude fail --help", r"Fails \x1b[2J"),
        ("j rude fail", r"error \x1b[2J\x1b]0;owned\x07\x9b31m\rfake\u202e"),
        ("j nosuch", "No such command"),
    ],
)
def test_what_a_driver_says(cli: Cli, rude: Path, command: str, shown: str) -> None:
    result = cli.run(
        "jmp", "shell", "--exporter-config", str(rude), "--exporter-logs", "--", *command.split()
    )
    assert shown in re.sub(r"\n\s+", " ", result.out + result.err), result
    assert CONTROL.search(result.out + result.err) is None, result
