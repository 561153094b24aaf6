"""Hooks of a stock Jumpstarter 0.9.0 exporter: what they mean for a lease of our lab."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from jumpstarter_protocol import common_pb2

from .lab import Installation, Lab, Process, RawClient

# 0.8.1 leaves it to clients to end leases, and says less: utest/scenarios has its hooks.
pytestmark = pytest.mark.parametrize("stock", ["0.9.0"], indirect=True, scope="session")

HOOK = """\
hooks:
  {which}:
    script: "{script}"
    onFailure: {on_failure}
    timeout: 20
"""


def hook(which: str, script: str, on_failure: str = "warn") -> str:
    return HOOK.format(which=which, script=script, on_failure=on_failure)


@contextmanager
def exporter(lab: Lab, stock: Installation, raw: RawClient, name: str, more: str) -> Iterator[Process]:
    """A stock exporter with label ``hooks=<name>`` that has registered and waits."""
    config = lab.exporter_config(name, more, hooks=name)
    with stock.start("jmp", "run", "--exporter-config", str(config)) as process:
        process.until("Updated status to AVAILABLE")
        yield process


def shell(stock: Installation, client: Path, name: str, *command: str) -> tuple[int, str]:
    done = stock.run("jmp", "shell", "--client-config", str(client), "-l", f"hooks={name}", "--", *command)
    return done.returncode, done.stdout + done.stderr


def test_before_and_after_lease_hooks_run_in_order(
    lab: Lab, stock: Installation, raw: RawClient, alice: Path
) -> None:
    script = "echo BEFORE of $CLIENT_NAME; j power on"
    more = hook("beforeLease", script) + hook("afterLease", "echo AFTER; j power off").removeprefix(
        "hooks:\n"
    )
    with exporter(lab, stock, raw, "ordered", more) as board:
        code, output = shell(stock, alice, "ordered", "echo", "BETWEEN")
        assert code == 0, output
        board.until("AFTER")
        board.until("Updated status to AVAILABLE: Available for new lease")
        assert board.text.index("BEFORE of alice") < board.text.index("power on") < board.text.index("AFTER")
        assert "BETWEEN" in output
        raw.wait_for_board("hooks=ordered")


def test_failing_before_lease_hook_that_ends_the_lease_frees_the_board(
    lab: Lab, stock: Installation, raw: RawClient
) -> None:
    with exporter(lab, stock, raw, "ending", hook("beforeLease", "exit 1", "endLease")) as board:
        for _ in range(2):
            # No client is there: the exporter itself releases the lease, and can be leased again.
            lease = raw.until(raw.lease(selector="hooks=ending"), "Released")
            assert lease.exporter.endswith("/ending")
            assert lease.conditions[-1].message.startswith("released by its exporter")
        assert "afterLease hook failed" not in board.text


def test_failing_hook_that_exits_takes_the_exporter_offline(
    lab: Lab, stock: Installation, raw: RawClient
) -> None:
    with exporter(lab, stock, raw, "leaving", hook("beforeLease", "exit 1", "exit")) as board:
        lease = raw.lease(selector="hooks=leaving")
        raw.until(lease, "Ready")
        board.until("Updated status to OFFLINE")
        raw.release(lease)
        board.popen.wait(60)
        found = lab.exporter("leaving")
        assert not found.online
        assert found.status == common_pb2.EXPORTER_STATUS_OFFLINE


def test_lease_whose_time_is_over_is_cleaned_up_and_the_board_goes_on(
    lab: Lab, stock: Installation, raw: RawClient
) -> None:
    with exporter(lab, stock, raw, "timed", hook("afterLease", "echo CLEANED")) as board:
        lease = raw.lease(selector="hooks=timed", seconds=10)
        raw.until(lease, "Expired")
        board.until("CLEANED")
        raw.wait_for_board("hooks=timed")


def test_failed_authentication_is_logged_with_the_peer_and_without_the_token(
    lab: Lab, stock: Installation, tmp_path: Path
) -> None:
    config = lab.client_config("mallory")
    text = config.read_text()
    token = next(line for line in text.splitlines() if line.startswith("token:")).partition(": ")[2]
    broken = tmp_path / "mallory.yaml"
    # The last characters of a signature may be padding: change one in its middle.
    wrong = token[:-20] + ("A" if token[-20] != "A" else "B") + token[-19:]
    broken.write_text(text.replace(token, wrong))
    done = stock.run("jmp", "get", "exporters", "--client-config", str(broken))
    assert done.returncode != 0
    assert "the token is not valid here" in " ".join(done.stderr.split())
    line = lab.process.until("client authentication failed").string
    assert "peer=127.0.0.1" in line
    assert wrong not in lab.process.text
    assert token not in lab.process.text
