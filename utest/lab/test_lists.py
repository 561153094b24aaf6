"""Which boards are free, who has the others, until when; leases by name; what changes; completion by what the lab has."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
import yaml

from .world import Process, World, wait_for


@pytest.fixture(scope="module")
def boards(world: World) -> Iterator[None]:
    processes: list[Process] = []
    for side in ("left", "right"):
        world.add_exporter(side, f"kind=board,side={side}")
        processes.append(world.run_exporter(side))
    world.add_exporter("off", "kind=board,side=off")
    yield
    for process in processes:
        process.end()


@pytest.fixture
def lease(world: World, boards: None) -> Iterator[str]:
    name = world.ok("create", "lease", "-n", "left", "--duration", "1h", "--wait", "30", "-o", "name").strip()
    yield name
    world.jmp("delete", "lease", name)


def rows(text: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split() for line in text.splitlines()}


def test_boards_are_told_with_status_holder_and_end(world: World, lease: str) -> None:
    shown = world.ok("get", "exporters")
    found = rows(shown)
    assert found["NAME"] == ["NAME", "STATUS", "HOLDER", "UNTIL", "LABELS"]
    assert found["left"][1:3] == ["In-Use", "anna"]
    assert re.fullmatch(r"[-0-9: ]+", " ".join(found["left"][3:-1]))
    assert found["right"] == ["right", "Available", "kind=board,side=right"]
    assert found["off"][:2] == ["off", "Offline"]
    assert max(map(len, shown.splitlines())) <= 100
    everyone = {
        each["name"]: each for each in json.loads(world.ok("get", "exporters", "-o", "json"))["exporters"]
    }
    assert (everyone["left"]["state"], everyone["left"]["holder"]) == ("In-Use", "anna")
    assert everyone["left"]["until"].endswith("Z")
    assert (everyone["off"]["state"], everyone["off"]["holder"]) == ("Offline", None)


def test_offline_board_is_not_available_in_any_column(world: World, boards: None) -> None:
    line = rows(world.ok("get", "exporters", "--with", "leases,online,status"))["off"]
    assert "Available" not in line


def seen_on_terminal(world: World, columns: int, *args: str) -> list[str]:
    # pexpect sets the size when the program runs already, which may be too late.
    script = f'unset COLUMNS LINES; stty rows 50 cols {columns}; exec jmp "$@"'
    command = ["-c", script, "sh", *args]
    child = pexpect.spawn("sh", command, env=world.environment(), encoding="utf-8", timeout=60)
    try:
        return child.read().splitlines()  # type: ignore[no-any-return]
    finally:
        child.close()


def test_thirty_boards_are_told_on_any_terminal(world: World, boards: None) -> None:
    labels = {"kind": "shelf", "vendor": "a-vendor-with-a-long-name", "model": "a-model-with-a-long-name"}
    head = {"apiVersion": "jumpstarter.dev/v1alpha1", "kind": "Exporter"}
    items = [{**head, "metadata": {"name": f"shelf-{n:02}", "labels": labels}} for n in range(30)]
    path = world.home / "shelf.yaml"
    path.write_text(yaml.safe_dump({"kind": "List", "items": items}))
    assert len(world.ok("admin", "apply", "-f", str(path)).splitlines()) == 30
    command = ("get", "exporters", "-l", "kind=shelf")
    piped = world.ok(*command).splitlines()
    assert len(piped) == 31
    assert piped[1].split() == ["shelf-00", "Offline", ",".join(f"{k}={labels[k]}" for k in sorted(labels))]
    narrow = seen_on_terminal(world, 60, *command)
    assert len(narrow) == 31 and max(map(len, narrow)) <= 60
    assert narrow[1].endswith("...")
    assert seen_on_terminal(world, 200, *command) == piped
    assert seen_on_terminal(world, 60, *command, "-o", "wide")[1] == piped[1]
    assert world.ok("get", "exporters", "-l", "kind=none") == "No resources found.\n"


def test_exporters_are_shown_by_name(world: World, boards: None) -> None:
    assert list(rows(world.ok("get", "exporters", "right", "left"))) == ["NAME", "right", "left"]
    done = world.jmp("get", "exporters", "lefft")
    assert done.code == 1
    assert "exporter 'lefft' not found" in done.err and "'left'" in done.err


def test_lease_is_shown_by_name_with_status_and_end(world: World, lease: str) -> None:
    shown = world.ok("get", "lease", lease)
    assert rows(shown)[lease][:4] == [lease, "anna", "left", "In-Use"]
    assert max(map(len, shown.splitlines())) <= 100
    assert "REMAINING" in world.ok("get", "leases", lease, "-o", "wide")
    (found,) = json.loads(world.ok("get", "leases", lease, "-o", "json"))["leases"]
    assert found["status"] == "In-Use"
    assert found["expires_at"].endswith("Z")
    assert world.jmp("get", "lease", "nope").code == 1


def test_lease_is_extended_by_name(world: World, lease: str) -> None:
    world.ok("update", "lease", lease, "--extend", "30m")
    assert world.leases()[0]["duration"] == 5400
    assert world.jmp("update", "lease", lease, "--extend", "30m", "--duration", "1h").code == 2


def test_watched_list_tells_of_changes(world: World, lease: str) -> None:
    watching = world.start("jmp", "get", "exporters", "--watch")
    watching.until("left")
    world.ok("delete", "lease", lease)
    wait_for(lambda: re.search("left +Available", watching.text()), "the change is told")
    assert watching.end(signal.SIGINT) == 130
    assert "Traceback" not in watching.text()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("shell -n le", ["left"]),
        ("shell -l kind=board,side=r", ["kind=board,side=right"]),
        ("create lease -l si", ["side=left", "side=off", "side=right"]),
        ("get exporters r", ["right"]),
        ("get exporters --with online,st", ["online,status"]),
        ("get exporters --with online,", ["online,leases", "online,status"]),
        ("shell -l kind=board,side=left,", [""]),
    ],
)
def test_completion_knows_the_lab(world: World, boards: None, words: str, offered: list[str]) -> None:
    # It waits for the lab a few seconds only, which may be too few beside other tests: whoever types presses the key again.
    wait_for(lambda: completed(world, words) == offered, f"{offered} offered for {words!r}")


@pytest.mark.parametrize("words", ["shell --lease ", "delete lease ", "get leases ", "update lease "])
def test_completion_knows_leases(world: World, lease: str, words: str) -> None:
    assert completed(world, words) == [lease]


def completed(world: World, words: str) -> list[str]:
    count = len(words.split(" "))
    variables = {"_JMP_COMPLETE": "bash_complete", "COMP_WORDS": f"jmp {words}", "COMP_CWORD": str(count)}
    return [line.partition(",")[2] for line in world.ok(env=variables).splitlines()]


def test_exporter_is_created_with_its_drivers(world: World, tmp_path: Path) -> None:
    board = tmp_path / "board.yaml"
    board.write_text("export:\n  power:\n    type: jumpstarter_driver_power.driver.MockPower\n")
    out = tmp_path / "made.yaml"
    world.ok(
        "admin", "create", "exporter", "made", "--label", "a=b", "--export", str(board), "--out", str(out)
    )
    made = yaml.safe_load(out.read_text())
    assert made["export"] == yaml.safe_load(board.read_text())["export"]
    assert made["metadata"]["name"] == "made" and made["token"]
    board.write_text("export:\n  power:\n    type: jumpstarter_driver_power.driver.MokPower\n")
    done = world.jmp(
        "admin", "create", "exporter", "more", "--label", "a=b", "--export", str(board), "--out", str(out)
    )
    assert done.code == 1
    assert "did you mean 'MockPower'" in done.err
    assert world.jmp("admin", "get", "exporter", "more").code == 1
