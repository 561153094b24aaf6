"""What clients do to drivers, through our router: our client with stock exporters, stock clients with ours."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from utest.scenarios.peers import OURS, Peers

SCENARIOS = Path(__file__).resolve().parents[1] / "interop" / "both" / "interop_scenarios.py"
PAIRS = [("0.9.0", OURS), (OURS, "0.9.0"), ("0.8.1", OURS), (OURS, "0.8.1")]

DRIVERS = """\
  serial:
    type: jumpstarter_driver_pyserial.driver.PySerial
    config:
      url: "loop://"
  storage:
    type: jumpstarter_driver_opendal.driver.Opendal
    config:
      scheme: fs
      kwargs:
        root: {storage}
  muxflash:
    type: jumpstarter_driver_opendal.driver.MockStorageMuxFlasher
"""


@pytest.fixture(scope="module", params=PAIRS, ids=lambda pair: f"{pair[0]}-with-{pair[1]}")
def outcomes(
    request: pytest.FixtureRequest, peers: Peers, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What each scenario gave, all run in one `jmp shell`."""
    client, owner = request.param
    folder = tmp_path_factory.mktemp("through")
    (folder / "payload").write_bytes(os.urandom(1_500_000) + bytes(1_500_000))
    (folder / "storage").mkdir()
    name = f"through-{PAIRS.index(request.param)}"
    python = str(peers.installations[client].bin / "python")
    with peers.board(owner, name, DRIVERS.format(storage=folder / "storage")):
        shell = peers.shell(client, name, python, str(SCENARIOS), str(folder))
    found = [json.loads(line) for line in shell.ok().splitlines() if line.startswith('{"scenario"')]
    return {outcome["scenario"]: outcome.get("result", outcome.get("error")) for outcome in found}


def test_tree(outcomes: dict[str, Any]) -> None:
    assert outcomes["tree"] == ["muxflash", "power", "serial", "storage"]


def test_power(outcomes: dict[str, Any]) -> None:
    assert outcomes["power"] == [[0.0, 0.0], [5.0, 2.0]]


def test_serial(outcomes: dict[str, Any]) -> None:
    assert outcomes["serial_stream"] == "Hello, board!"
    assert outcomes["serial_expect"] == "a"


def test_upload_and_download(outcomes: dict[str, Any]) -> None:
    payload, on_exporter, back = outcomes["storage_upload_and_download"]
    assert payload == on_exporter == back


@pytest.mark.parametrize("how", ["plain", "gzip"])
def test_flash(outcomes: dict[str, Any], how: str) -> None:
    payload, dumped = outcomes[f"flash_{how}"]
    assert dumped == payload
