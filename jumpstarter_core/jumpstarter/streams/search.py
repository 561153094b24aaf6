"""Regular expressions that cannot hold up the process that asks.

`re` has no time limit and keeps every other thread waiting while it searches, and a pattern such as ``(a+)+$`` can search for
years. A pattern that repeats anything is searched for in a process of its own, which is ended when the time is over; so is a
long text. All else is done here, at once.
"""

from __future__ import annotations

import os
import pickle
import re
import select
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from time import monotonic
from typing import Any

#: Characters of a text that are searched here, if the pattern repeats nothing.
SHORT = 64 * 1024
#: Seconds for the process to start, which do not count as time of the search.
START_TIMEOUT = 30.0
_REPEATS = re.compile(r"[*+?{]")
_ESCAPED = re.compile(r"\\.", re.DOTALL)
_HEADER = struct.Struct("!Q")

_PROGRAM = """
import pickle, re, struct, sys
read, write = sys.stdin.buffer.read, sys.stdout.buffer.write
write(b"!")
sys.stdout.buffer.flush()
while len(header := read(8)) == 8:
    pattern, text, start = pickle.loads(read(struct.unpack("!Q", header)[0]))
    found = re.compile(pattern, re.MULTILINE).search(text, start)
    answer = pickle.dumps(found and found.span())
    write(struct.pack("!Q", len(answer)) + answer)
    sys.stdout.buffer.flush()
"""


class SearchTimeout(Exception):
    """Raised when a pattern was not through with a text in time."""


class Searcher:
    """Searches for regular expressions, with ``^`` and ``$`` matching at lines, from any thread."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._one_at_a_time = threading.Lock()

    def search(self, pattern: str, text: str, start: int, seconds: float) -> tuple[int, int] | None:
        """Where *text* first matches *pattern* from *start* on; None when nowhere.

        Raises `SearchTimeout` when that is not known after *seconds*, `re.error` if the pattern is not valid.
        """
        if len(text) - start <= SHORT and not repeats(pattern):
            found = re.compile(pattern, re.MULTILINE).search(text, start)
            return None if found is None else found.span()
        if not self._one_at_a_time.acquire(timeout=max(0.0, seconds)):
            raise SearchTimeout
        try:
            process = self._running()
            return _ask(process, (pattern, text, start), monotonic() + seconds)
        except BaseException:
            # It may still be searching, and its answer would be taken for the next one's.
            self.close()
            raise
        finally:
            self._one_at_a_time.release()

    def close(self) -> None:
        """End the process; the next search starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()
            process.wait()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for this process, which ends that one
            )
            assert self._process.stdout is not None
            _receive(self._process.stdout.fileno(), 1, monotonic() + START_TIMEOUT)
        return self._process


def repeats(pattern: str) -> bool:
    """Whether *pattern* repeats something, so that its time is not bounded by the text's length."""
    return _REPEATS.search(_ESCAPED.sub("", pattern)) is not None


def _ask(
    process: subprocess.Popen[bytes], question: tuple[str, str, int], deadline: float
) -> tuple[int, int] | None:
    assert process.stdin is not None and process.stdout is not None
    data = pickle.dumps(question)
    process.stdin.write(_HEADER.pack(len(data)) + data)
    process.stdin.flush()
    (size,) = _HEADER.unpack(_receive(process.stdout.fileno(), _HEADER.size, deadline))
    answer: Any = pickle.loads(_receive(process.stdout.fileno(), size, deadline))
    return None if answer is None else (answer[0], answer[1])


def _receive(descriptor: int, size: int, deadline: float) -> bytes:
    data = b""
    while len(data) < size:
        ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - monotonic()))
        if not ready:
            raise SearchTimeout
        piece = os.read(descriptor, size - len(data))
        if not piece:
            raise SearchTimeout
        data += piece
    return data
