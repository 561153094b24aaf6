"""The process behind ``jmp local start``: ``python -m jumpstarter_cli.background FD REQUEST``.

REQUEST is a JSON object with the keys ``config``, ``exporter`` and ``log_level``. On FD the process writes
one JSON object and closes it: ``name`` and ``pid`` once clients can connect, or ``error`` and ``code``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

from jumpstarter.common import local

from . import logs
from .ending import terminate
from .exporters import resolve, serving
from .signals import wait_for_the_end


def main() -> int:
    """Serve until SIGTERM."""
    answer = Answer(int(sys.argv[1]))
    request = json.loads(sys.argv[2])
    signal.signal(signal.SIGTERM, terminate)
    if request["log_level"]:
        logs.request(request["log_level"])
    logs.configure("INFO", times=True)
    try:
        _serve(request, answer)
    except local.AlreadyRunning:
        answer.give({"error": "a local exporter is already running", "code": 1})
        return 1
    except Exception as error:
        if answer.given:
            raise
        from jumpstarter.common.errors import exit_code, one_line

        logs.log_traceback(error)
        answer.give({"error": one_line(error), "code": exit_code(error)})
        return exit_code(error)
    return 0


def _serve(request: dict[str, Any], answer: Answer) -> None:
    source = resolve(exporter=request["exporter"], path=request["config"])
    with local.announced(source.name, source.path) as announcement, serving(source) as socket:
        announcement.publish(
            local.LocalExporter(os.getpid(), source.name, source.path, socket, source.labels)
        )
        answer.give({"name": source.name, "pid": os.getpid()})
        wait_for_the_end()


class Answer:
    """The one message to the process that waits for us to serve."""

    def __init__(self, file: int) -> None:
        # Nothing that a driver starts may keep the waiting process waiting.
        os.set_inheritable(file, False)
        self._file = file
        self.given = False

    def give(self, message: dict[str, Any]) -> None:
        self.given = True
        os.write(self._file, json.dumps(message).encode())
        os.close(self._file)


if __name__ == "__main__":
    sys.exit(main())
