"""The scenarios of exporters that serve one lease only, and of what is logged about refused peers."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from utest.scenarios.peers import AVAILABLE, OFFLINE, OURS, Peers


@pytest.mark.parametrize("client", [OURS, "0.9.0", "0.8.1"])
def test_exit_on_lease_end_1_exits_after_one_lease(peers: Peers, client: str) -> None:
    name = f"once-{client.replace('.', '-')}"
    with peers.board(OURS, name, "exitOnLeaseEnd: true\n") as board:
        peers.shell(client, name, "j", "power", "on").ok()
        assert board.ends() == 0
        assert board.log.count("power on") == 1
        board.until(OFFLINE)


def test_exit_on_lease_end_2_does_not_exit_idle(peers: Peers) -> None:
    with peers.board(OURS, "idle", "exitOnLeaseEnd: true\n") as board:
        # Another exporter comes, is used, and goes: this one has nothing to do with it.
        with peers.board(OURS, "busy") as busy:
            peers.shell(OURS, "busy").ok()
            busy.until(AVAILABLE)
        assert board.process.popen.poll() is None
        assert board.status == AVAILABLE
        assert board.process.stop(signal.SIGTERM) == 128 + signal.SIGTERM


def broken(config: Path, tmp_path: Path) -> tuple[Path, str]:
    """A copy of a configuration whose token is not the one that was issued; that token."""
    text = config.read_text()
    token = next(line for line in text.splitlines() if line.startswith("token:")).partition(": ")[2]
    # The last characters of a signature may be padding: change one in its middle.
    wrong = token[:-20] + ("A" if token[-20] != "A" else "B") + token[-19:]
    path = tmp_path / config.name
    path.write_text(text.replace(token, wrong))
    return path, wrong


@pytest.mark.parametrize("owner", [OURS, "0.9.0", "0.8.1"])
def test_auth_logging_1_failed_client(peers: Peers, tmp_path: Path, owner: str) -> None:
    name = f"mallory-{owner.replace('.', '-')}"
    config, wrong = broken(peers.client(name), tmp_path)
    peers.lab.process.forget()
    done = peers.installations[owner].run("jmp", "get", "exporters", "--client-config", str(config))
    assert done.returncode != 0
    line = peers.lab.process.until("client authentication failed").string
    assert re.search(r"peer=127\.0\.0\.1\b", line)
    assert wrong not in peers.lab.process.text
    assert wrong not in done.stderr + done.stdout


def test_auth_logging_2_failed_exporter(peers: Peers, tmp_path: Path) -> None:
    config, wrong = broken(peers.lab.exporter_config("forged"), tmp_path)
    with peers.installations[OURS].start("jmp", "run", "--exporter-config", str(config)) as process:
        line = peers.lab.process.until("exporter authentication failed").string
        assert process.popen.wait(60) == 1
    assert re.search(r"peer=127\.0\.0\.1\b", line)
    assert wrong not in peers.lab.process.text
    assert wrong not in process.text
