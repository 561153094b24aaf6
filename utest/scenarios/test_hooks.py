"""The scenarios of hooks (letters and numbers as in Jumpstarter's own end-to-end suite).

Our client and exporter are in all of them; stock ones where messages have to be understood across implementations.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from utest.scenarios.peers import AVAILABLE, OFFLINE, OURS, Board, Peers, Shell, after, before, hooks

#: (client, exporter)
PAIRS = [
    (OURS, OURS),
    ("0.9.0", OURS),
    (OURS, "0.9.0"),
    ("0.8.1", OURS),
    (OURS, "0.8.1"),
]
CLIENTS = [OURS, "0.9.0", "0.8.1"]

SEEN = 'echo "{which} of $LEASE_NAME for $CLIENT_NAME"; j power {power}; echo "{which} is over"'

#: What a user must not see of the machinery.
NOISE = re.compile(
    r"Traceback|grpc error|StatusCode|UNAVAILABLE|Stream removed|CANCELLED|BrokenPipe|Connection (lost|reset|refused)",
    re.IGNORECASE,
)

_numbers = count(1)


def fresh(name: str) -> str:
    """The name of an exporter that no other test has."""
    return f"{name}-{next(_numbers)}"


def ids(value: object) -> str:
    return "{}-with-{}".format(*value) if isinstance(value, tuple) else str(value)


@dataclass(frozen=True)
class Visit:
    """What a client and the exporter's owner saw of a lease."""

    shell: Shell
    board: str
    lease: str


@pytest.fixture(scope="module", params=PAIRS, ids=ids)
def visit(request: pytest.FixtureRequest, peers: Peers) -> Visit:
    """A lease of a board whose hooks work."""
    client, owner = request.param
    both = hooks(
        before(SEEN.format(which="BEFORE", power="on")), after(SEEN.format(which="AFTER", power="off"))
    )
    with peers.board(owner, fresh("hooked"), both) as board:
        shell = peers.shell(client, board.name, "echo", "BETWEEN")
        board.until(AVAILABLE)
        found = re.search(r"BEFORE of (\S+) for alice", shell.ok())
        assert found is not None
        return Visit(shell, board.log, found[1])


def test_hooks_A1_before_hook_runs(visit: Visit) -> None:
    assert "BEFORE is over" in visit.shell.text


def test_hooks_A2_after_hook_runs(visit: Visit) -> None:
    assert "AFTER is over" in visit.shell.text


def test_hooks_A3_order(visit: Visit) -> None:
    for where in (visit.board, visit.shell.text):
        assert where.index("BEFORE is over") < where.index("AFTER of")


def test_hooks_E1_j_in_before_hook(visit: Visit) -> None:
    assert visit.board.index("BEFORE of") < visit.board.index("power on") < visit.board.index("BEFORE is")


def test_hooks_E2_j_in_after_hook(visit: Visit) -> None:
    assert visit.board.index("AFTER of") < visit.board.index("power off") < visit.board.index("AFTER is")


def test_hooks_E3_environment_of_lease_and_client(peers: Peers, visit: Visit) -> None:
    assert f"AFTER of {visit.lease} for alice" in visit.shell.text
    assert visit.lease in peers.ok(OURS, "get", "leases", "--all", "-o", "name").split()


def test_hooks_H1_no_infrastructure_noise(visit: Visit) -> None:
    assert not NOISE.search(visit.shell.text), visit.shell.text


@pytest.fixture(scope="module", params=PAIRS, ids=ids)
def warned(request: pytest.FixtureRequest, peers: Peers) -> Visit:
    """A lease whose hooks both fail, which is no more than a warning."""
    client, owner = request.param
    both = hooks(before("echo BEFORE; exit 3"), after("echo AFTER; exit 4"))
    with peers.board(owner, fresh("warned"), both) as board:
        shell = peers.shell(client, board.name, "echo", "BETWEEN")
        board.until(AVAILABLE)
        return Visit(shell, board.log, "")


def test_hooks_B1_failed_before_hook_with_warn_proceeds(warned: Visit) -> None:
    assert "BETWEEN" in warned.shell.ok()


def test_hooks_C1_failed_after_hook_with_warn_stays_available(warned: Visit) -> None:
    assert "AFTER" in warned.board
    assert warned.shell.code == 0


def test_hooks_H3_warning_of_before_hook_is_shown(warned: Visit) -> None:
    assert re.search(r"warning.*beforeLease hook.*3", warned.shell.text, re.IGNORECASE), warned.shell.text


def test_hooks_H4_warning_of_after_hook_is_shown(warned: Visit) -> None:
    assert re.search(r"warning.*afterLease hook.*4", warned.shell.text, re.IGNORECASE), warned.shell.text


@pytest.fixture(scope="module", params=PAIRS, ids=ids)
def refused(request: pytest.FixtureRequest, peers: Peers) -> tuple[list[Shell], str, str]:
    """Two shells at a board whose beforeLease hook ends the lease; the board's log and owner."""
    client, owner = request.param
    both = hooks(before("echo BEFORE; exit 5", "endLease"), after("echo AFTER"))
    shells = []
    with peers.board(owner, fresh("refused"), both) as board:
        for _ in range(2):
            shells.append(peers.shell(client, board.name, "echo", "NEVER"))
            board.until(AVAILABLE)
        return shells, board.log, owner


def test_hooks_B2_failed_before_hook_with_end_lease_fails_the_shell(
    refused: tuple[list[Shell], str, str],
) -> None:
    shell = refused[0][0]
    assert shell.code != 0
    assert "NEVER" not in shell.text
    assert "beforeLease hook" in " ".join(shell.text.split())


def test_hooks_B3_end_lease_frees_the_exporter_twice(refused: tuple[list[Shell], str, str]) -> None:
    shells, log, _ = refused
    assert [shell.code != 0 for shell in shells] == [True, True]
    assert len(re.findall(r"BEFORE$", log, re.MULTILINE)) == 2


def test_hooks_B4_no_after_hook_after_end_lease(refused: tuple[list[Shell], str, str]) -> None:
    _, log, owner = refused
    if owner == "0.9.0":
        assert not begun_after_failure(log), log
    else:
        runs_it_nevertheless = owner == "0.8.1"
        assert bool(re.search(r"AFTER$", log, re.MULTILINE)) == runs_it_nevertheless, log


def begun_after_failure(log: str) -> list[str]:
    """What a stock 0.9.0 exporter logged of each lease whose afterLease hook began after its beforeLease hook had failed.

    It asks for the end of a lease a second after the failure, by the name of the lease that it then has. A client that has gone
    by then, and another one that came, lose the second lease so, while its beforeLease hook runs. Of a lease that ends
    meanwhile it runs the afterLease hook at once.
    """
    leases = [lease.partition("beforeLease hook failed with") for lease in log.split("Starting new lease: ")]
    assert any(failed for _, failed, _ in leases), log
    return [lease for _, _, lease in leases if "Running afterLease hook on session close" in lease]


def ends(board: Board, owner: str) -> None:
    """Wait until the exporter has ended, as its hook asked, and is offline."""
    code = board.ends()
    if owner == OURS:
        assert code == 1  # stock ones may end with 0
    board.until(OFFLINE)


@pytest.fixture(scope="module", params=PAIRS, ids=ids)
def left(request: pytest.FixtureRequest, peers: Peers) -> tuple[Shell, str]:
    """A shell at a board whose beforeLease hook ends the exporter, and the log of that."""
    client, owner = request.param
    both = hooks(before("echo BEFORE; exit 6", "exit"), after("echo AFTER"))
    with peers.board(owner, fresh("left"), both) as board:
        shell = peers.shell(client, board.name, "echo", "NEVER")
        ends(board, owner)
        return shell, board.log


def test_hooks_B5_failed_before_hook_with_exit_ends_the_exporter(left: tuple[Shell, str]) -> None:
    shell, _ = left
    assert shell.code != 0
    assert "NEVER" not in shell.text


def test_hooks_H2_no_after_hook_after_exit(left: tuple[Shell, str]) -> None:
    shell, log = left
    assert not re.search(r"AFTER$", log + shell.text, re.MULTILINE)


@pytest.mark.parametrize(("client", "owner"), PAIRS)
def test_hooks_C2_failed_after_hook_with_exit_ends_the_exporter(
    peers: Peers, client: str, owner: str
) -> None:
    with peers.board(owner, fresh("leaves"), hooks(after("echo AFTER; exit 7", "exit"))) as board:
        shell = peers.shell(client, board.name, "echo", "BETWEEN")
        assert "BETWEEN" in shell.text
        ends(board, owner)
        assert not peers.leased(board.name)


@pytest.mark.parametrize("client", CLIENTS)
def test_hooks_D1_timeout_is_a_failure(peers: Peers, client: str) -> None:
    slow = hooks(before("echo BEFORE; sleep 600", "endLease", timeout=1))
    with peers.board(OURS, fresh("slow"), slow) as board:
        shell = peers.shell(client, board.name, "echo", "NEVER")
        assert shell.code != 0
        assert "timed out after 1 s" in " ".join(shell.text.split())
        board.until(AVAILABLE)


def test_hooks_F1_bash(peers: Peers) -> None:
    script = "words=(bash runs this)\necho ${words[*]} ${#words[@]}"
    with peers.board(OURS, fresh("bash"), hooks(before(script, interpreter="/bin/bash"))) as board:
        assert "bash runs this 3" in peers.shell(OURS, board.name).ok()


def test_hooks_F2_python(peers: Peers) -> None:
    script = "import os\nprint('python', 'runs', len([1, 2]), os.environ['CLIENT_NAME'])"
    with peers.board(OURS, fresh("python"), hooks(before(script, interpreter="python3"))) as board:
        assert "python runs 2 alice" in peers.shell(OURS, board.name).ok()


def test_hooks_F3_script_file(peers: Peers, tmp_path: Path) -> None:
    first, last = tmp_path / "first.sh", tmp_path / "last.py"
    first.write_text("echo a file of $CLIENT_NAME\n")
    last.write_text(
        "from jumpstarter.common.utils import env\nwith env() as client: print(sorted(client.children))\n"
    )
    with peers.board(OURS, fresh("files"), hooks(before(str(first)), after(str(last)))) as board:
        text = peers.shell(OURS, board.name).ok()
    assert "a file of alice" in text
    assert "['power']" in text


def ends_cleanly(shell: Shell, board: Board) -> None:
    assert "Traceback" not in shell.text
    assert not re.search(r"grpc error|StatusCode", shell.text), shell.text
    board.until(AVAILABLE)
    assert "Traceback" not in board.log


@pytest.mark.parametrize("client", CLIENTS)
def test_hooks_G1_lease_timeout_without_hooks(peers: Peers, client: str) -> None:
    with peers.board(OURS, fresh("timeout")) as board:
        shell = peers.shell(client, board.name, "sleep", "600", options=("--duration", "10"))
        ends_cleanly(shell, board)


# A 0.9.0 client waits for the hook whether or not the lease lasts; the exit code of an 0.8.1 one is 0.
@pytest.mark.parametrize(("client", "code"), [(OURS, 1), ("0.8.1", 0)])
def test_hooks_G2_lease_timeout_during_the_before_hook(peers: Peers, client: str, code: int) -> None:
    both = hooks(before("echo BEFORE; sleep 60; echo SLEPT"), after("echo AFTER"))
    with peers.board(OURS, fresh("during"), both) as board:
        shell = peers.shell(client, board.name, "echo", "NEVER", options=("--duration", "10"))
        assert shell.code == code
        assert "NEVER" not in shell.text
        assert "SLEPT" not in board.log
        ends_cleanly(shell, board)


@pytest.mark.parametrize("client", CLIENTS)
def test_hooks_G3_lease_timeout_just_after_the_before_hook(peers: Peers, client: str) -> None:
    both = hooks(before("echo BEFORE; sleep 2"), after("echo AFTER"))
    with peers.board(OURS, fresh("after"), both) as board:
        shell = peers.shell(client, board.name, "sleep", "600", options=("--duration", "10"))
        ends_cleanly(shell, board)
        assert "AFTER" in board.log
