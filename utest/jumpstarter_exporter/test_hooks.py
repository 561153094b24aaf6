"""Hooks run real scripts with a real shell."""

from __future__ import annotations

import os
import select
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from jumpstarter_exporter.hooks import (
    Hook,
    LeftBehind,
    _chunks,
    _lines_logged,
    _pty,
    hook_environment,
    run_hook,
)
from jumpstarter_testing.eventually import eventually


def run(script: str, **options: object) -> tuple[list[str], str | None]:
    lines: list[str] = []
    hook = Hook("beforeLease", script, **options)  # type: ignore[arg-type]
    result = run_hook(
        hook, hook_environment(os.environ, host="/run/s", lease_name="l", client_name="c"), lines.append
    )
    assert result.ok is (result.problem is None)
    return lines, result.problem


def test_each_line_of_output_is_logged_in_order() -> None:
    assert run("echo one; echo two >&2; printf three") == (["one", "two", "three"], None)


def test_all_of_a_large_output_is_logged() -> None:
    lines, problem = run("seq 20000")
    assert problem is None
    assert lines == [str(n) for n in range(1, 20001)]


def test_hook_environment_names_socket_lease_and_client() -> None:
    lines, _ = run('echo "$JUMPSTARTER_HOST $LEASE_NAME $CLIENT_NAME $JMP_DRIVERS_ALLOW $TERM"')
    assert lines == ["/run/s l c UNSAFE dumb"]


def test_hook_environment_drops_a_surrounding_session() -> None:
    environment = hook_environment({"JMP_GRPC_PASSPHRASE": "x", "JMP_LEASE": "y", "PS1": "z"}, host="h")
    assert not {"JMP_GRPC_PASSPHRASE", "JMP_LEASE", "PS1"} & set(environment)


def test_hook_environment_has_no_secrets_of_the_exporter() -> None:
    names = "JMP_TOKEN JMP_REFRESH_TOKEN JMP_ADMIN_TOKEN JMP_ADMIN_TOKEN_FILE JMP_GRPC_PASSPHRASE JMP_CLIENT_SECRET OCI_PASSWORD"
    secrets = dict.fromkeys(names.split(), "secret")
    others = {"TOKEN_OF_THE_RELAY": "1", "JMP_ENDPOINT": "lab", "JMP_NAME": "board", "KEYBOARD": "de"}
    environment = hook_environment({**secrets, **others}, host="h")
    assert not secrets.keys() & environment.keys()
    assert environment.items() >= others.items()


def test_output_is_a_terminal_and_input_is_at_its_end() -> None:
    assert run("test -t 1 && cat && echo done") == (["done"], None)


def test_j_is_on_the_path() -> None:
    lines, problem = run("command -v j")
    assert problem is None and lines


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("exit 3", "beforeLease hook failed with exit code 3"),
        ("kill -KILL $$", "beforeLease hook was ended by SIGKILL"),
        ("kill -40 $$", "beforeLease hook was ended by signal 40"),
        ("kill -TERM $$", "beforeLease hook was ended by SIGTERM"),
        ("kill -KILL $PPID; exec sleep 600", "beforeLease hook was ended from outside"),
    ],
)
def test_failing_hook_says_how_it_ended(script: str, problem: str) -> None:
    assert run(script)[1] == problem


def test_missing_interpreter_is_a_failure_not_an_exception() -> None:
    _, problem = run("true", interpreter="/nonexistent/sh")
    assert problem is not None and problem.startswith("beforeLease hook cannot be started:")


def test_hook_that_runs_too_long_is_ended_with_its_children() -> None:
    (pid,), problem = run("sleep 600 & echo $!; wait", timeout=3)
    assert problem == "beforeLease hook timed out after 3 s"
    eventually(lambda: not runs(int(pid)), timeout=60)


def test_hook_that_runs_too_long_is_ended_with_children_that_moved_away() -> None:
    lines, problem = run(f"{MOVED}; wait", timeout=3)
    assert problem == "beforeLease hook timed out after 3 s"
    assert_ended(lines)


#: Three processes: one in the hook's group, one in a session of its own, and one whose parent has ended.
MOVED = "sleep 600 & echo $!; setsid sh -c 'echo $$; exec sleep 600' & (setsid sh -c 'echo $$; exec sleep 600' &) ; sleep 1"


def assert_ended(pids: Sequence[str]) -> None:
    assert len(pids) == 3
    eventually(lambda: not any(runs(int(pid)) for pid in pids), timeout=60)


EXPORTER = f"""
import os, threading
from jumpstarter_exporter.hooks import Hook, run_hook
hook = Hook("afterLease", \"\"\"{MOVED}; echo READY; exec sleep 600\"\"\")
run_hook(hook, os.environ, lambda line: print(line, flush=True))
"""

#: The same with a process, told first, that has a copy of everything that the exporter has open.
FORKING = EXPORTER.replace(
    "run_hook(hook",
    """
import jumpstarter_exporter.hooks as hooks, signal
wait = hooks._wait
def fork_and_wait(*args):
    if (copy := os.fork()) == 0:
        os.close(1)
        signal.pause()
    print("copy", copy, flush=True)
    return wait(*args)
hooks._wait = fork_and_wait
run_hook(hook""",
)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_hook_dies_with_its_exporter(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", EXPORTER], stdout=subprocess.PIPE, text=True) as exporter:
        assert exporter.stdout is not None
        lines = list(iter(exporter.stdout.readline, "READY\n"))
        exporter.send_signal(number)
    assert_ended(lines)


@pytest.mark.skipif(sys.platform != "linux", reason="parent-death signals are Linux's")
def test_hook_dies_with_its_exporter_although_a_copy_of_that_lives_on() -> None:
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", FORKING], stdout=subprocess.PIPE, text=True
    ) as exporter:
        assert exporter.stdout is not None
        lines = list(iter(exporter.stdout.readline, "READY\n"))
        (copy,) = (line for line in lines if line.startswith("copy "))
        exporter.kill()
        try:
            assert_ended([line for line in lines if line != copy])
        finally:
            os.kill(int(copy.split()[1]), signal.SIGKILL)


def test_what_a_hook_left_behind_outlives_it_where_nobody_takes_it() -> None:
    (pid,), problem = run("setsid sleep 600 & echo $!")
    try:
        assert problem is None
        assert runs(int(pid))
    finally:
        os.kill(int(pid), signal.SIGKILL)


def leave(script: str, left: LeftBehind) -> list[str]:
    """Run a hook on a thread that ends with it; gives its lines."""
    lines: list[str] = []
    hook = Hook("beforeLease", script)
    work = threading.Thread(target=run_hook, args=(hook, os.environ, lines.append, None, left))
    work.start()
    work.join()
    return lines


def test_what_a_hook_left_behind_lives_until_it_is_closed() -> None:
    left = LeftBehind()
    pids = leave(MOVED, left)
    try:
        assert len(pids) == 3
        assert all(runs(int(pid)) for pid in pids)
    finally:
        left.close()
    assert_ended(pids)
    left.close()


def test_what_a_hook_left_behind_is_asked_to_end_first(tmp_path: Path) -> None:
    left, told = LeftBehind(), tmp_path / "told"
    script = f"(trap 'touch {told}; exit' TERM; while :; do sleep 0.1; done) & sleep 0.5"
    leave(script, left)
    left.close()
    assert told.exists()


def test_process_that_is_meant_to_stay_is_left_alone() -> None:
    left = LeftBehind()
    kept, other = leave(
        "JMP_HOOK_KEEP=1 setsid sleep 600 & echo $!; setsid sleep 600 & echo $!; sleep 0.5", left
    )
    try:
        left.close()
        eventually(lambda: not runs(int(other)), timeout=60)
        assert runs(int(kept))
    finally:
        os.kill(int(kept), signal.SIGKILL)


LEAVING = f"""
import os, signal, threading
from jumpstarter_exporter.hooks import Hook, LeftBehind, run_hook
hook = Hook("beforeLease", \"\"\"{MOVED}; echo READY\"\"\")
def work():
    run_hook(hook, os.environ, lambda line: print(line, flush=True), None, left)
left = LeftBehind()
thread = threading.Thread(target=work)
thread.start()
thread.join()
print("ENDED", flush=True)
signal.pause()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_what_a_hook_left_behind_dies_with_its_exporter(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", LEAVING], stdout=subprocess.PIPE, text=True) as exporter:
        assert exporter.stdout is not None
        lines = list(iter(exporter.stdout.readline, "READY\n"))
        assert exporter.stdout.readline() == "ENDED\n"
        assert all(runs(int(pid)) for pid in lines)
        exporter.send_signal(number)
    assert_ended(lines)


def test_broken_pipe_ends_a_command_of_a_hook_as_in_a_shell() -> None:
    assert run("yes | head -n 1; echo end") == (["y", "end"], None)


def runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"  # ended; nobody may be there to wait for it


def test_background_process_left_behind_does_not_hold_the_hook() -> None:
    started = time.monotonic()
    assert run("sleep 100 & echo done") == (["done"], None)
    assert time.monotonic() - started < 100


def test_last_line_is_read_while_a_background_process_holds_the_terminal() -> None:
    # With epoll one of some hundred was lost, with one look at both ends one of some ten thousand.
    for _ in range(2000):
        lines: list[str] = []
        with _pty() as (terminal, ours), _lines_logged(ours, lines.append):
            terminal.write(b"done\n")
        assert lines == ["done"]


def test_last_line_is_read_when_the_terminal_was_looked_at_before_it_and_the_end_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, terminal = os.openpty()
    ended, end = os.pipe()
    look = select.poll

    class Unlucky:
        """A poll(2) during which the last line is written and the end is told, between its looks at one and the other."""

        def __init__(self) -> None:
            self._poll = look()

        def __getattr__(self, name: str) -> object:
            return getattr(self._poll, name)

        def poll(self, timeout: float | None = None) -> list[tuple[int, int]]:
            if timeout is not None:
                return self._poll.poll(timeout)
            os.write(terminal, b"done\n")
            os.close(end)
            return [(ended, select.POLLHUP)]

    monkeypatch.setattr(selectors.PollSelector, "_selector_cls", Unlucky)
    try:
        assert b"".join(_chunks(ours, ended)) == b"done\r\n"
    finally:
        for descriptor in (ours, terminal, ended):
            os.close(descriptor)


@pytest.mark.parametrize("settings", ["-opost", "olcuc", "raw", "tab3", "-onlcr ocrnl"])
def test_last_line_is_read_whatever_the_hook_did_to_its_terminal(settings: str) -> None:
    for _ in range(10):
        lines, problem = run(f"stty {settings} <&1; sleep 100 & seq 3000; printf DONE")
        assert problem is None
        assert len(lines) == 3001 and lines[-1] == "DONE"


def test_background_process_that_writes_without_end_does_not_hold_the_hook() -> None:
    lines, problem = run("yes & echo $!; sleep 1; echo done")
    assert problem is None
    assert "done" in "\n".join(lines)
    pid = int(next(filter(str.isdigit, lines)))
    eventually(lambda: not runs(pid), timeout=60)


def test_script_naming_a_python_file_runs_with_our_python(tmp_path: Path) -> None:
    script = tmp_path / "hook.py"
    script.write_text("import sys; print(sys.executable)")
    assert run(str(script)) == ([sys.executable], None)


def test_script_naming_another_file_runs_with_sh(tmp_path: Path) -> None:
    script = tmp_path / "hook"
    script.write_text("echo from $0")
    assert run(str(script)) == ([f"from {script}"], None)


def test_exec_runs_the_script_text() -> None:
    assert run("print(6 * 7)", interpreter=sys.executable) == (["42"], None)
