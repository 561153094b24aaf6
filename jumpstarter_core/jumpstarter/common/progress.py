"""How far a transfer has come: a bar on a terminal, a line now and then elsewhere; always on standard error.

With ``JMP_QUIET=1`` in the environment, which is how ``j -q`` and ``jmp -q shell`` say it, nothing is shown.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import IO, Any, Final, Self

#: Seconds between two lines where there is no terminal; transfers shorter than this print none.
LINE_INTERVAL: Final = 10.0


class Progress(AbstractContextManager["Progress"]):
    """Counts bytes of one transfer. *total* in bytes, None where it is not known."""

    def __init__(self, label: str, total: int | None = None) -> None:
        self._label = label
        self._total = total
        self._done = 0
        self._next_line = time.monotonic() + LINE_INTERVAL
        self._bar: Any = None
        self._quiet = os.environ.get("JMP_QUIET") == "1"

    def __enter__(self) -> Self:
        if not self._quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            from tqdm import tqdm

            self._bar = tqdm(
                total=self._total,
                desc=self._label,
                unit="B",
                unit_scale=True,
                unit_divisor=1024,
                file=sys.stderr,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def add(self, count: int) -> None:
        """*count* more bytes have gone."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)
        elif not self._quiet and time.monotonic() >= self._next_line:
            self._next_line += LINE_INTERVAL
            sys.stderr.write(f"{self._label}: {self._text()}\n")

    def _text(self) -> str:
        done = f"{self._done / (1 << 20):.1f} MiB"
        if not self._total:
            return done
        return f"{done} of {self._total / (1 << 20):.1f} MiB ({100 * self._done // self._total} %)"

    def over(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """*chunks*, counted as they go."""
        for chunk in chunks:
            self.add(len(chunk))
            yield chunk

    def writer(self, file: IO[bytes]) -> Any:
        """*file* for writing, counted."""
        return _Writer(self, file)


class _Writer:
    def __init__(self, progress: Progress, file: IO[bytes]) -> None:
        self._progress = progress
        self._file = file

    def write(self, data: bytes) -> int:
        self._progress.add(len(data))
        return self._file.write(data)

    def readable(self) -> bool:
        return False
