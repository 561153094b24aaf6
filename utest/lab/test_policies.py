"""Access policies as clients feel them: boards on loan, limits, order among waiters."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from .world import World


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A lab where guests get boards on loan, and the team for an hour at most."""
    world = World(tmp_path_factory.mktemp("lab"))
    try:
        world.start_controller({"leasePolicy": {"spotNotice": "8s"}})
        world.add_exporter("board", "kind=board")
        world.run_exporter("board")
        world.add_client("tom", "-l", "group=team")
        world.add_client("gina", "-l", "group=guests")
        world.add_client("lead", "-l", "group=leads")
        rules = [
            {"from": [_group("leads")], "priority": 10},
            {"from": [_group("team")], "priority": 5, "maximumDuration": "1h"},
            {"from": [_group("guests")], "spotAccess": True},
        ]
        policy = {
            "apiVersion": "jumpstarter.dev/v1alpha1",
            "kind": "ExporterAccessPolicy",
            "metadata": {"name": "all"},
            "spec": {"exporterSelector": {}, "policies": rules},
        }
        file = world.home / "policy.yaml"
        file.write_text(yaml.safe_dump(policy))
        world.ok("admin", "create", "policy", "-f", str(file))
        yield world
    finally:
        world.close()


def _group(name: str) -> dict[str, object]:
    return {"clientSelector": {"matchLabels": {"group": name}}}


def test_board_on_loan_is_taken_back_with_notice(team: World) -> None:
    guest = team.start(
        "jmp",
        "shell",
        "--client",
        "gina",
        "-l",
        "kind=board",
        "--",
        "sh",
        "-c",
        "echo started; exec sleep 600",
    )
    guest.until("started")
    regular = team.start("jmp", "shell", "--client", "tom", "-l", "kind=board", "--", "j", "power", "on")
    assert regular.wait() == 0, regular.text()
    assert guest.wait() == 143
    lines = [line for line in guest.text().splitlines() if line != "started"]
    assert len(lines) >= 2, guest.text()  # the notice, then the end
    assert "has ended" in lines[-1]
    team.nothing_is_leased()


def test_longest_duration_holds_for_requests_and_extensions(team: World) -> None:
    done = team.jmp("create", "lease", "--client", "tom", "-l", "kind=board", "--duration", "2h")
    assert done.code == 1
    assert "1h" in done.err
    name = team.ok(
        "create", "lease", "--client", "tom", "-l", "kind=board", "--wait", "60", "-o", "name"
    ).strip()
    done = team.jmp("update", "lease", "--client", "tom", name, "--duration", "2h")
    assert done.code == 1
    assert "1h" in done.err
    team.ok("delete", "lease", "--client", "tom", name)


def test_lease_that_cannot_be_extended_says_so_and_ends_in_time(team: World) -> None:
    file = team.home / "short.yaml"
    shown = yaml.safe_load(team.ok("admin", "get", "policy", "all", "-o", "yaml"))
    shown["spec"]["policies"][1]["maximumDuration"] = "12s"
    file.write_text(yaml.safe_dump(shown))
    team.ok("admin", "create", "policy", "-f", str(file))
    program = """
import threading
from datetime import timedelta
from jumpstarter.config.client import ClientConfigV1Alpha1
over = threading.Event()
with ClientConfigV1Alpha1.load("tom").lease(selector="kind=board", duration=timedelta(seconds=10)) as lease:
    lease.on_end(over.set)
    assert over.wait(60)
    print("over:", lease.ended)
"""
    process = team.start("python", "-c", program)
    assert process.wait() == 0, process.text()
    assert "cannot be extended" in process.text()
    assert "over: has ended" in process.text()
    team.nothing_is_leased()
    team.ok("admin", "create", "policy", "-f", str(team.home / "policy.yaml"))


def test_waiter_of_higher_priority_is_served_first(team: World) -> None:
    held = team.ok(
        "create", "lease", "--client", "lead", "-l", "kind=board", "--wait", "60", "-o", "name"
    ).strip()
    script = "date +%s%N > $HOME/served-$0"
    early = team.start("jmp", "shell", "--client", "tom", "-l", "kind=board", "--", "sh", "-c", script, "tom")
    early.until("position 1")
    late = team.start(
        "jmp", "shell", "--client", "lead", "-l", "kind=board", "--", "sh", "-c", script, "lead"
    )
    late.until("position 1")
    early.until("position 2")
    team.ok("delete", "lease", "--client", "lead", held)
    assert late.wait() == early.wait() == 0
    times = [int((team.home / f"served-{name}").read_text()) for name in ("lead", "tom")]
    assert times == sorted(times)


def test_client_whom_no_policy_lets_in_is_told(team: World) -> None:
    team.add_client("nobody")
    done = team.jmp("shell", "--client", "nobody", "-l", "kind=board", "--", "true")
    assert done.code == 1
    assert "cannot be satisfied" in done.err
    assert len(done.err.splitlines()) == 1
