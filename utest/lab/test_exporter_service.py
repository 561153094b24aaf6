"""`jmp run` in a lab: how it is stopped, what it survives, and what it refuses."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from .world import POWER, Process, World, wait_for

_numbers = itertools.count(1)

Make = Callable[..., tuple[str, Process]]


@pytest.fixture
def exporter(world: World) -> Iterator[Make]:
    """Makes exporters, each with a name of its own: ``exporter(exitOnLeaseEnd=True)``."""
    started: list[Process] = []

    def make(**config: Any) -> tuple[str, Process]:
        name = f"exporter-{next(_numbers)}"
        world.add_exporter(name, f"name={name}", **config)
        started.append(world.run_exporter(name))
        return name, started[-1]

    yield make
    for process in started:
        process.end()


def status(world: World, name: str) -> str:
    return str(world.exporter(name)["status"]["exporterStatus"])


def becomes(world: World, name: str, wanted: str) -> None:
    wait_for(lambda: status(world, name) == wanted, f"{name} becomes {wanted}, is {status(world, name)}")


def start_shell(world: World, name: str, script: str = "echo started; exec sleep 600") -> Process:
    shell = world.start("jmp", "shell", "-n", name, "--", "sh", "-c", script)
    shell.until("started")
    return shell


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 0)]
)
def test_signal_ends_an_idle_exporter(
    world: World, exporter: Make, number: signal.Signals, code: int
) -> None:
    name, process = exporter()
    assert process.end(number) == code
    assert status(world, name) == "Offline"
    assert "Traceback" not in process.text()


def test_hangup_while_leased_ends_after_the_lease(world: World, exporter: Make) -> None:
    name, process = exporter()
    hung_up = world.home / "hung-up"
    shell = start_shell(
        world, name, f"echo started; while [ ! -e {hung_up} ]; do sleep 0.1; done; j power on"
    )
    process.popen.send_signal(signal.SIGHUP)
    hung_up.touch()
    assert shell.wait() == 0, shell.text()
    assert process.wait() == 0
    becomes(world, name, "Offline")


def test_terminated_exporter_runs_its_after_hook_and_leaves_the_lease(world: World, exporter: Make) -> None:
    name, process = exporter(hooks={"afterLease": {"script": "echo AFTER-HOOK"}})
    shell = start_shell(world, name)
    assert process.end(signal.SIGTERM) == 143
    assert "AFTER-HOOK" in process.text()
    assert [each["exporter"] for each in world.leases()] == [name]
    shell.end()
    world.nothing_is_leased()


def test_exporter_ends_when_its_lease_ends_if_told_so(world: World, exporter: Make) -> None:
    name, process = exporter(exitOnLeaseEnd=True)
    assert world.jmp("shell", "-n", name, "--", "j", "power", "on").code == 0
    assert process.wait() == 0
    becomes(world, name, "Offline")


def test_exporter_that_exits_on_lease_end_does_not_while_idle(world: World, exporter: Make) -> None:
    name, process = exporter(exitOnLeaseEnd=True)
    other, _ = exporter()
    assert world.jmp("shell", "-n", other, "--", "true").code == 0
    assert process.popen.poll() is None
    assert status(world, name) == "Available"


def test_drivers_are_fresh_for_every_lease(world: World, exporter: Make) -> None:
    board = {"board": {"type": "jumpstarter_driver_simulated.driver.SimulatedBoard"}}
    name, process = exporter(export=board)
    for _ in range(2):
        assert world.jmp("shell", "-n", name, "--", "true").code == 0
    wait_for(lambda: status(world, name) == "Available", "available again")
    assert process.text().count("begins") == 2


def test_exporter_killed_while_leased_comes_back_to_its_lease(world: World, exporter: Make) -> None:
    name, process = exporter()
    shell = start_shell(world, name, "echo started; while ! j power on; do sleep 0.5; done; exec sleep 600")
    shell.until("ok\n")
    shell_two = world.start(
        "jmp",
        "shell",
        "--lease",
        world.leases()[0]["name"],
        "--",
        "sh",
        "-c",
        "echo started; while [ ! -e $HOME/killed ]; do sleep 0.1; done; while ! j power off; do sleep 0.5; done",
    )
    shell_two.until("started")
    process.end(signal.SIGKILL)
    (world.home / "killed").touch()
    again = world.start("jmp", "run", "--exporter", name)
    try:
        assert shell_two.wait() == 0, shell_two.text()
        assert "power off" in again.text()
        shell.end()
        world.nothing_is_leased()
    finally:
        again.end()


def test_unreachable_exporter_is_borne_with_on_the_same_lease(world: World, exporter: Make) -> None:
    name, process = exporter()
    process.end(signal.SIGKILL)  # the controller takes it for online a while longer
    shell = world.start("jmp", "shell", "-n", name, "--retry-timeout", "60", "--", "j", "power", "on")
    lease = wait_for(world.leases, "the lease")[0]["name"]
    again = world.start("jmp", "run", "--exporter", name)
    try:
        assert shell.wait() == 0, shell.text()
        names = [each["name"] for each in world.leases("--all") if each["exporter"] == name]
        assert names == [lease]
    finally:
        again.end()


def test_unreachable_exporter_is_given_up_after_the_retry_timeout(world: World, exporter: Make) -> None:
    name, process = exporter()
    process.popen.send_signal(signal.SIGSTOP)
    try:
        done = world.jmp("shell", "-n", name, "--retry-timeout", "0", "--", "true")
    finally:
        process.popen.send_signal(signal.SIGCONT)
    assert done.code == 1
    assert "cannot be reached" in done.err.splitlines()[-1]
    world.nothing_is_leased()


def test_drivers_that_cannot_be_made_are_told_before_registration(world: World) -> None:
    name = f"exporter-{next(_numbers)}"
    bad = {
        "serial": {
            "type": "jumpstarter_driver_pyserial.driver.PySerial",
            "config": {"url": "/dev/nonexistent"},
        }
    }
    world.add_exporter(name, "a=b", export=bad)
    done = world.jmp("run", "--exporter", name)
    assert done.code == 1
    assert "/dev/nonexistent" in done.err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"token": "a.b.c"}, "token"),
        ({"metadata": {"namespace": "default", "name": "other"}}, "other"),
        ({"metadata": {"namespace": "elsewhere", "name": "refused"}}, "elsewhere"),
    ],
)
def test_refused_exporter_ends_with_the_reason(world: World, change: dict[str, Any], words: str) -> None:
    path = world.home / "config" / "jumpstarter" / "exporters" / "refused.yaml"
    if not path.exists():
        world.add_exporter("refused", "a=b")
    changed = world.home / "changed.yaml"
    changed.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **change}))
    done = world.jmp("run", "--exporter-config", str(changed))
    assert done.code == 1
    last = done.err.splitlines()[-1]
    assert last.startswith("Error: ")
    assert words in last
    assert "Traceback" not in done.err


def test_certificate_that_is_not_trusted_is_told(world: World, exporter: Make) -> None:
    path = world.add_exporter(f"exporter-{next(_numbers)}", "a=b", export=POWER)
    content = yaml.safe_load(path.read_text())
    del content["tls"]
    path.write_text(yaml.safe_dump(content))
    process = world.start("jmp", "run", "--exporter-config", str(path))
    process.until("trying again")
    assert process.end() == 143


def test_exporter_of_one_lease_ends_with_0_after_its_hooks(world: World) -> None:
    name = f"exporter-{next(_numbers)}"
    world.add_exporter(name, f"board={name}", hooks={"afterLease": {"script": "echo AFTER-HOOK"}})
    process = world.start("jmp", "run", "--exporter", name, "--exit-on-lease-end")
    process.until("registered as")
    world.is_available(name)
    assert world.jmp("shell", "-n", name, "--", "j", "power", "on").code == 0
    assert process.wait() == 0
    assert "AFTER-HOOK" in process.text()


def test_exporter_of_one_lease_belongs_to_a_lab(world: World) -> None:
    done = world.jmp("run", "--exporter", "x", "--tls-grpc-listener", "1", "--exit-on-lease-end")
    assert done.code == 2
    assert "--exit-on-lease-end" in done.err and "lab" in done.err


SECRET = "hooks-must-not-see-this"


def test_token_of_the_environment_is_inherited_by_nothing_that_the_exporter_starts(world: World) -> None:
    name = f"exporter-{next(_numbers)}"
    shell = {"type": "jumpstarter_driver_shell.driver.Shell", "config": {"methods": {"show": "env"}}}
    hooks = {"beforeLease": {"script": "env"}}
    path = world.add_exporter(name, f"board={name}", export={"shell": shell}, hooks=hooks)
    content = yaml.safe_load(path.read_text())
    token = content.pop("token")
    secrets = dict.fromkeys(("JMP_ADMIN_TOKEN", "JMP_GRPC_PASSPHRASE", "OCI_PASSWORD"), SECRET)
    path.write_text(yaml.safe_dump(content))
    process = world.start("jmp", "run", "--exporter", name, env={"JMP_TOKEN": token, **secrets})
    try:
        process.until("registered as")
        world.is_available(name)
        done = world.jmp("shell", "-n", name, "--", "j", "shell", "show")
        assert "LEASE_NAME=" in done.err and "PATH=" in done.out
        for text in (done.out, done.err, process.text()):
            assert SECRET not in text and token not in text
    finally:
        process.end()
