"""``jmp local start`` and ``jmp local stop``: a local exporter in the background, for CI jobs and long work.

Every client of the same user finds it without any variable being set: ``j``, ``env()``, pytest, Robot suites,
and ``jmp shell`` without options.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from typing import Any

import click
from jumpstarter.common import local
from jumpstarter.connection.environment import session_environment

from jumpstarter_cli import logs
from jumpstarter_cli.exporters import exporter_option

STOP_TIMEOUT = 30.0
"""Seconds that the exporter gets to close its drivers before it is killed."""


class StartFailed(click.ClickException):
    """Raised when the exporter process says why it does not serve; carries its exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]


@click.command
@click.option("-c", "--config", metavar="FILE", help="Path of the exporter config.")
@exporter_option
def start(config: str | None, exporter: str | None) -> None:
    """Start a local exporter in the background.

    Without options it is a simulated board. jmp shell, j, pytest and Robot suites find it by themselves;
    jmp local stop ends it.
    """
    if config and exporter:
        raise click.UsageError("--config and --exporter exclude each other.")
    _refuse_second()
    local.make_runtime_directory()
    answer = _spawn({"config": config, "exporter": exporter, "log_level": logs.requested()})
    if "error" in answer:
        raise StartFailed(answer["error"], answer["code"])
    kind = "" if config or exporter else ", a simulated board,"
    click.echo(
        f"Local exporter '{answer['name']}'{kind} started (pid {answer['pid']}, log {local.log_file()})."
    )


@click.command
def stop() -> None:
    """Stop the local exporter; fine if none is running."""
    exporter = local.exporter_process()
    if exporter is None:
        click.echo("No local exporter is running.")
        return
    ended = threading.Thread(target=local.wait_until_ended, daemon=True)
    ended.start()
    os.kill(exporter.pid, signal.SIGTERM)
    ended.join(STOP_TIMEOUT)
    if ended.is_alive():
        os.kill(exporter.pid, signal.SIGKILL)
        ended.join()
        raise click.ClickException(
            f"local exporter '{exporter.name}' did not stop within {STOP_TIMEOUT:g} s and was killed; "
            f"its last words are in {local.log_file()}"
        )
    click.echo(f"Local exporter '{exporter.name}' stopped.")


def _refuse_second() -> None:
    exporter = local.exporter_process()
    if exporter is not None:
        raise click.ClickException(
            f"local exporter '{exporter.name}' is already running (pid {exporter.pid}); "
            "use it, or end it with: jmp local stop"
        )


def _spawn(request: dict[str, str | None]) -> dict[str, Any]:
    """Start the background process and wait until it serves, or says why it does not."""
    told, tell = os.pipe()
    with open(told, encoding="utf-8") as answer, open(local.log_file(), "wb") as log:
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "jumpstarter_cli.background", str(tell), json.dumps(request)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[tell],
                start_new_session=True,
                env=session_environment(os.environ, {}),
            )
        finally:
            os.close(tell)
        try:
            text = answer.read()
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if text:
        reply: dict[str, Any] = json.loads(text)
        return reply
    code = process.wait()
    return {"error": f"the local exporter ended at its start; see {local.log_file()}", "code": abs(code) or 1}
